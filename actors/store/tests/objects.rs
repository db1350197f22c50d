//! The store over objects in memory. `tests/s3` shows the same of an S3.
#![cfg(all(feature = "object-store", not(madsim)))]

mod promises;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[test]
fn objects_keep_what_files_keep() {
    playhouse_rt::run(2, promises::objects_keep_what_files_keep(memory())).unwrap();
}

#[test]
fn one_of_two_owners_remains() {
    let objects = memory();
    playhouse_rt::run(2, promises::one_of_two_owners_remains(objects.clone(), objects)).unwrap();
}

#[test]
fn what_takes_pages_to_list_is_listed() {
    playhouse_rt::run(2, promises::what_takes_pages_to_list_is_listed(memory())).unwrap();
}
