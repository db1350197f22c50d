//! An S3 on loopback: s3s speaks the protocol and checks the signatures, s3s-fs keeps the objects in a folder. Real HTTP, real XML, real
//! refusals. What is ours is that it can be stopped, started again and made to lose answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, RetryConfig};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;

/// The only bucket.
pub const BUCKET: &str = "checkpoints";

/// Who may use it.
pub const KEY: &str = "playhouse";

/// With what.
pub const SECRET: &str = "of the house";

/// A server with its folder, which goes with it.
pub struct Server {
    folder: PathBuf,
    address: SocketAddr,
    seen: Arc<Seen>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What came, and what is to become of it.
#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    creates: AtomicUsize,
    losing: AtomicUsize,
    /// s3s-fs looks whether an object is there and then writes it; an S3 does both at once.
    creating: Mutex<()>,
}

impl Server {
    /// Starts one with an empty bucket, on a free port.
    pub fn start() -> Server {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("playhouse-s3-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Server { folder, address, seen: Arc::default(), running: None };
        server.begin();
        server
    }

    /// Starts it again, where it was, with what it had.
    pub fn begin(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let mut service = S3ServiceBuilder::new(FileSystem::new(&self.folder).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let (service, seen, address) = (service.build(), self.seen.clone(), self.address);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, service, seen) => {}
                    _ = stopped => {}
                }
            });
        });
        self.address = told.recv().expect("it listens");
        self.running = Some((stop, thread));
    }

    /// Stops it as a crash would: connections break, and new ones are refused. When this returns, it is gone.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }

    /// The next `count` requests that change something are done, and their answers lost.
    pub fn lose_answers(&self, count: usize) {
        self.seen.losing.store(count, Ordering::SeqCst);
    }

    /// How many requests came, and how many of them were to create an object that must not be there.
    pub fn seen(&self) -> (usize, usize) {
        (self.seen.requests.load(Ordering::SeqCst), self.seen.creates.load(Ordering::SeqCst))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the objects of the bucket are, as files.
    pub fn files(&self) -> PathBuf {
        self.folder.join(BUCKET)
    }

    /// A client of it that gives up soon.
    pub fn client(&self) -> Arc<AmazonS3> {
        client_at(self.address)
    }

    /// A client with other credentials, or of another bucket.
    pub fn client_of(&self, key: &str, secret: &str, bucket: &str) -> Arc<AmazonS3> {
        connect(self.address, key, secret, bucket)
    }
}

/// A client, in another process, of the server that listens there.
pub fn client_at(address: SocketAddr) -> Arc<AmazonS3> {
    connect(address, KEY, SECRET, BUCKET)
}

fn connect(address: SocketAddr, key: &str, secret: &str, bucket: &str) -> Arc<AmazonS3> {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(10), max_backoff: Duration::from_millis(100), base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(5) };
    let builder = AmazonS3Builder::new().with_endpoint(format!("http://{address}")).with_allow_http(true);
    let builder = builder.with_region("us-east-1").with_bucket_name(bucket);
    Arc::new(builder.with_access_key_id(key).with_secret_access_key(secret).with_retry(retry).build().unwrap())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn serve(listener: TcpListener, service: S3Service, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (service, seen) = (service.clone(), seen.clone());
        let answer = service_fn(move |request| answer(service.clone(), seen.clone(), request));
        connections.spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            // A connection that breaks is the client's to notice.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    service: S3Service,
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<hyper::Response<s3s::Body>, Box<dyn std::error::Error + Send + Sync>> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let changes = matches!(*request.method(), Method::PUT | Method::DELETE);
    let creating = if request.headers().contains_key("if-none-match") {
        seen.creates.fetch_add(1, Ordering::SeqCst);
        Some(seen.creating.lock().await)
    } else {
        None
    };
    let response = Service::call(&service, request).await.map_err(|error| format!("{error:?}"))?;
    drop(creating);
    let lose = |left: usize| left.checked_sub(1);
    if changes && seen.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
        return Err("the answer is lost".into());
    }
    Ok(response)
}
