//! Both sides of the seam offer the same names with the same types: this file is compiled in both worlds.
#![allow(missing_docs)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use playhouse_rt as rt;

type Unit = std::future::Ready<()>;

#[test]
fn every_item_is_there_with_its_type() {
    let _: fn() -> Instant = rt::now;
    let _: fn(Duration) -> rt::Sleep = rt::sleep;
    let _: fn(Instant) -> rt::Sleep = rt::sleep_until;
    let _: fn(Pin<&mut rt::Sleep>, Instant) = rt::Sleep::reset;
    let _: fn(&rt::Sleep) -> Instant = rt::Sleep::deadline;
    let _: fn(&rt::Sleep) -> bool = rt::Sleep::has_fired;
    let _: fn(Duration) -> rt::Interval = rt::interval;
    let _: fn(Unit) -> rt::Task<()> = rt::spawn;
    let _: fn(Unit) -> rt::Task<()> = rt::spawn_local;
    let _: fn() -> bool = rt::on_local_thread;
    let _: fn(&rt::Task<()>) = rt::Task::abort;
    let _: fn(usize) -> io::Result<rt::Locals> = rt::Locals::new;
    let _: fn(&rt::Locals) -> usize = rt::Locals::threads;
    let _: fn(&rt::Locals, usize, fn() -> Unit) = rt::Locals::spawn;
    let _: fn() -> rt::Place = rt::Place::here;
    let _: fn(&rt::Locals, rt::Place, usize, fn() -> Unit) = rt::Locals::spawn_from;
    let _: fn(usize) -> rt::Blocking = rt::Blocking::new;
    let _: fn(u64, &str) -> rt::Random = rt::Random::new;
    let _: fn(&rt::Host, SocketAddr) -> io::Result<rt::Datagrams> = rt::Host::bind;
    let _: fn(&rt::Host) -> &rt::Disk = rt::Host::disk;
    let _: fn(&rt::Host, &str) -> rt::Random = rt::Host::random;
    let _: fn(&rt::Host) -> Duration = rt::Host::wall_clock;
    let _: fn(&rt::Host) -> std::time::SystemTime = rt::Host::system_time;
    let _: fn(&rt::Datagrams) -> io::Result<SocketAddr> = rt::Datagrams::local_addr;
    let _: fn(&rt::Disk, &Path) -> io::Result<Vec<u8>> = rt::Disk::read;
    let _: fn(&rt::Disk, &Path, u64, usize) -> io::Result<Vec<u8>> = rt::Disk::read_at;
    let _: fn(&rt::Disk, &Path, &[u8]) -> io::Result<()> = rt::Disk::write;
    let _: fn(&rt::Disk, &Path) -> io::Result<()> = rt::Disk::sync;
    let _: fn(&rt::Disk, &Path, &Path) -> io::Result<()> = rt::Disk::rename;
    let _: fn(&rt::Disk, &Path) -> io::Result<()> = rt::Disk::sync_dir;
    let _: fn(&rt::Disk, &Path) -> io::Result<()> = rt::Disk::remove;
    let _: fn(&rt::Disk, &Path) -> io::Result<()> = rt::Disk::create_dir_all;
    let _: fn(&rt::Disk, &Path) -> io::Result<Vec<rt::DirEntry>> = rt::Disk::list;
    let _: fn(&rt::Disk, &Path) -> io::Result<rt::DiskFile> = rt::Disk::open;
    let _: fn(&rt::Disk, &Path) -> io::Result<rt::DiskFile> = rt::Disk::claim;
    let _: fn(&rt::DiskFile) -> io::Result<u64> = rt::DiskFile::len;
    let _: fn(&rt::DiskFile, u64, &mut [u8]) -> io::Result<()> = rt::DiskFile::read_at;
    let _: fn(&rt::DiskFile, u64, &[u8]) -> io::Result<()> = rt::DiskFile::write_at;
    let _: fn(&rt::DiskFile, u64) -> io::Result<()> = rt::DiskFile::set_len;
    let _: fn(&rt::DiskFile) -> io::Result<()> = rt::DiskFile::sync;
    fn shared<T: Send + Sync + std::fmt::Debug + 'static>() {}
    shared::<rt::DiskFile>();
    let _: fn(&(dyn std::any::Any + Send)) -> String = rt::panic_text;
    fn future<T>(_: &impl Future<Output = T>) {}
    future::<Result<(), rt::Elapsed>>(&rt::timeout(Duration::ZERO, std::future::ready(())));
    future::<Result<u8, rt::Lost>>(&rt::Blocking::new(1).run(|| 7u8));
    future::<()>(&async {
        rt::select! {
            () = rt::sleep(Duration::ZERO) => {}
            () = std::future::ready(()) => {}
        }
    });
    let _: (rt::sync::Notify, rt::sync::Semaphore) = (rt::sync::Notify::new(), rt::sync::Semaphore::new(1));
    let _ = (rt::sync::mpsc::channel::<()>, rt::sync::oneshot::channel::<()>);
    rt::ledger::record("kind", || "detail".into());
    rt::ledger::name_task(|| "name".into());
    rt::ledger::waits(|| "nothing".into());
    let tag = rt::ledger::Tag::sent("kind", || "detail".into());
    tag.leaves(|| "way".into());
    rt::ledger::Tag::arrived(|| "way".into()).record("kind", || "detail".into());
    let _: rt::ledger::Entered = rt::ledger::enter("actor");
    if cfg!(not(madsim)) {
        assert_eq!(size_of::<rt::ledger::Tag>() + size_of::<rt::ledger::Entered>(), 0, "nothing in production");
    }
    assert!(!rt::secrets::wanted());
    rt::secrets::tell("label", &[], &[]);
    rt::always!(true, "a promise", "{}", 1);
    rt::sometimes!(true, "something");
    rt::reachable!("here");
    let _: bool = rt::buggify!("a site") || rt::buggify!("another", 0.5);
    let _: fn(rt::claims::Eventually) = rt::claims::Eventually::kept;
    let _: fn(rt::claims::Eventually) = rt::claims::Eventually::void;
}

/// The same behaviour, too: one body for both worlds.
async fn body(host: rt::Host, folder: &Path) {
    let began = rt::now();
    assert_eq!(rt::timeout(Duration::from_millis(20), std::future::pending::<()>()).await, Err(rt::Elapsed));
    assert!(rt::now() - began >= Duration::from_millis(20));
    assert_eq!(rt::timeout(Duration::from_secs(60), std::future::ready(7)).await, Ok(7));

    let mut ticks = rt::interval(Duration::from_millis(5));
    ticks.tick().await;
    ticks.tick().await;

    let pool = rt::Blocking::new(2);
    assert_eq!(pool.run(|| 6 * 7).await, Ok(42));
    assert_eq!(pool.run(|| -> u8 { std::panic::resume_unwind(Box::new("boom")) }).await, Err(rt::Lost("boom".into())));

    let locals = rt::Locals::new(2).unwrap();
    let (send, mut receive) = rt::sync::mpsc::channel(8);
    for index in 0..3 {
        let send = send.clone();
        // Not Send, on purpose.
        locals.spawn(index, move || async move {
            let number = std::rc::Rc::new(index);
            rt::spawn_local(async move { send.send(*number).await.unwrap() }).await.unwrap();
        });
    }
    drop(send);
    let mut got = Vec::new();
    while let Some(number) = receive.recv().await {
        got.push(number);
    }
    got.sort();
    assert_eq!(got, [0, 1, 2]);

    let disk = host.disk();
    disk.create_dir_all(folder).unwrap();
    let (a, b) = (folder.join("a"), folder.join("b"));
    disk.write(&a, b"hello").unwrap();
    disk.sync(&a).unwrap();
    disk.rename(&a, &b).unwrap();
    disk.sync_dir(folder).unwrap();
    assert_eq!(disk.read(&b).unwrap(), b"hello");
    assert_eq!(disk.read_at(&b, 1, 3).unwrap(), b"ell");
    assert_eq!(disk.read_at(&b, 4, 30).unwrap(), b"o");
    assert_eq!(disk.read(&a).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.list(folder).unwrap(), [rt::DirEntry { name: "b".into(), kind: rt::Kind::File(5) }]);
    disk.remove(&b).unwrap();
    assert_eq!(disk.list(folder).unwrap(), []);
    anywhere_in_a_file(disk, folder);

    assert_ne!(host.bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap().port(), 0);
    assert_eq!(host.random("x").next_u64(), host.random("x").next_u64());
    assert!(host.wall_clock() > Duration::from_secs(50 * 365 * 86_400), "after 2020");
}

fn anywhere_in_a_file(disk: &rt::Disk, folder: &Path) {
    let (path, moved) = (folder.join("pages"), folder.join("moved"));
    assert_eq!(disk.open(&folder.join("none").join("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let file = disk.open(&path).unwrap();
    assert_eq!(file.len().unwrap(), 0);
    file.write_at(3, b"def").unwrap();
    file.write_at(0, b"a").unwrap();
    assert_eq!(disk.read(&path).unwrap(), b"a\0\0def");
    file.set_len(5).unwrap();
    file.set_len(8).unwrap();
    let mut bytes = [0; 4];
    file.read_at(3, &mut bytes).unwrap();
    assert_eq!((&bytes, file.len().unwrap()), (b"de\0\0", 8));
    let error = file.read_at(5, &mut bytes).unwrap_err();
    assert!(error.kind() == io::ErrorKind::UnexpectedEof && error.to_string().contains("pages"), "{error}");
    file.sync().unwrap();
    // Opened again, it is as it was; and it stays the same file under another name.
    assert_eq!(disk.open(&path).unwrap().len().unwrap(), 8);
    disk.rename(&path, &moved).unwrap();
    file.write_at(7, b"end").unwrap();
    assert_eq!(disk.read(&moved).unwrap(), b"a\0\0de\0\0end");
    one_claims_it(disk, &moved);
    disk.remove(&moved).unwrap();
}

fn one_claims_it(disk: &rt::Disk, path: &Path) {
    let first = disk.claim(path).unwrap();
    let error = disk.claim(path).unwrap_err();
    assert!(error.kind() == io::ErrorKind::ResourceBusy && error.to_string().contains("moved"), "{error}");
    first.write_at(0, b"A").unwrap();
    assert_eq!(disk.read_at(path, 0, 1).unwrap(), b"A", "who does not claim it is not kept out");
    drop(first);
    drop(disk.claim(path).unwrap());
    disk.claim(path).unwrap();
}

#[cfg(not(madsim))]
#[test]
fn the_body_runs_on_the_operating_system() {
    let folder = std::env::temp_dir().join(format!("playhouse-parity-{}", std::process::id()));
    rt::run(2, body(rt::Host::os(), &folder)).unwrap();
    std::fs::remove_dir(&folder).unwrap();
}

#[cfg(madsim)]
#[test]
fn the_body_runs_in_the_simulation() {
    struct Perfect;
    impl rt::sim::Links for Perfect {
        fn send(&mut self, _: &rt::sim::Flight) -> rt::sim::Deliveries {
            rt::sim::Deliveries::one(Duration::from_millis(1))
        }
        fn arrives(&mut self, _: &rt::sim::Flight) -> bool {
            true
        }
    }
    rt::sim::run(1, async {
        let network = rt::sim::Network::new(Box::new(Perfect));
        let disk = rt::Disk::simulated(&rt::sim::Storage::default(), 1);
        let host = rt::Host::simulated(&network, "127.0.0.1".parse().unwrap(), disk, 7);
        body(host, Path::new("/data")).await;
    });
}
