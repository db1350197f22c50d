//! Metrics over HTTP, for Prometheus: as much of HTTP/1 as one GET takes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use playhouse::{Node, prometheus, rt};

/// The pause after the system has refused to accept: it cannot be waited for.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Requests that are answered at once; further ones wait in the listener's queue.
const AT_ONCE: usize = 4;

/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 8 * 1024;

/// How long a request may take to arrive, and its answer to leave.
const WITHIN: Duration = Duration::from_secs(2);

/// The node whose metrics are served: none between two lives of it.
#[derive(Clone, Default)]
pub(crate) struct Served(Arc<Mutex<Option<Node>>>);

impl Served {
    pub(crate) fn set(&self, node: Option<Node>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = node;
    }

    /// Answers from now on, until the process ends.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let address = listener.local_addr()?;
        for _ in 0..AT_ONCE {
            let (listener, served) = (listener.clone(), self.clone());
            // Threads, and not tasks: a scraper that dawdles must hold up nothing of the node.
            std::thread::Builder::new().name("metrics".into()).spawn(move || {
                loop {
                    match listener.accept() {
                        // Whoever asked and went away needs no answer.
                        Ok((stream, _)) => drop(served.answer(stream)),
                        // Out of file descriptors, mostly: it passes.
                        Err(_) => rt::pause(ACCEPT_AGAIN),
                    }
                }
            })?;
        }
        Ok(address)
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let deadline = Instant::now() + WITHIN;
        let head = head(&mut stream, deadline)?;
        let (status, body) = match &head {
            Some(head) => self.page(head),
            None => ("431 Request Header Fields Too Large", format!("the head of a request may take {HEAD_MAX} bytes\n")),
        };
        let kind = if status.starts_with("200") { prometheus::CONTENT_TYPE } else { "text/plain; charset=utf-8" };
        let only_head = head.as_ref().is_some_and(|head| head.starts_with(b"HEAD "));
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n{}",
            if only_head { "" } else { &body }
        );
        stream.set_write_timeout(Some(WITHIN))?;
        stream.write_all(answer.as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // What was sent beyond the head is read and dropped, within the bounds: closing on unread bytes would take back the answer.
        let mut rest = [0; 1024];
        let mut left = HEAD_MAX;
        while left > 0 {
            let Some(wait) = deadline.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) else { break };
            stream.set_read_timeout(Some(wait))?;
            match stream.read(&mut rest)? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    }

    fn page(&self, head: &[u8]) -> (&'static str, String) {
        let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
        let words: Vec<&str> = std::str::from_utf8(line).map(|line| line.split(' ').collect()).unwrap_or_default();
        let [method, path, version] = words[..] else { return ("400 Bad Request", "this is no HTTP request\n".into()) };
        if !version.starts_with("HTTP/1.") {
            return ("505 HTTP Version Not Supported", "HTTP/1.1 is spoken here\n".into());
        }
        if !matches!(method, "GET" | "HEAD") {
            return ("405 Method Not Allowed", "only GET and HEAD\n".into());
        }
        if path.split('?').next() != Some("/metrics") {
            return ("404 Not Found", "there is only /metrics here\n".into());
        }
        let node = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match node {
            Some(node) => ("200 OK", prometheus::text(&node.metrics())),
            None => ("503 Service Unavailable", "the node is between two lives\n".into()),
        }
    }
}

/// The head of a request: all up to the empty line. `None` if it is too long.
fn head(stream: &mut TcpStream, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(wait))?;
        let read = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..read]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n") {
            return Ok(Some(head));
        }
        if head.len() > HEAD_MAX {
            return Ok(None);
        }
        if read == 0 {
            // It ended before its end.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
