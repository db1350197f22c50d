//! A file of a [`Disk`], as redb wants it.

use std::io;
use std::sync::Arc;

use playhouse_rt::DiskFile;
use redb::StorageBackend;

#[derive(Debug)]
pub(super) struct FileOfDisk(pub(super) Arc<DiskFile>);

impl StorageBackend for FileOfDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
