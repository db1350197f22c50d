//! quinn as it comes, with its default transport, on tokio's multi-thread runtime: bytes on streams, and nothing else. The certificates
//! and the provider of cryptography are those of ours, and both sides prove themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use ::quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use playhouse_net::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use super::{FAR, RECORD, Wire};

pub(crate) const TELL_NOTE: &str =
    "0.11 default transport, mutual TLS; 66-byte records on one stream in writes of 64 KiB; no actors, no codec, no mailbox";
pub(crate) const ASK_NOTE: &str =
    "0.11 default transport, mutual TLS; ping-pong of 64 bytes on one bidirectional stream; no actors";

/// A record and two bytes of length, as a frame would have them.
const FRAMED: usize = RECORD + 2;
const WRITE: usize = 64 * 1024;
const ALPN: &[u8] = b"bench";

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

type Chain = Vec<CertificateDer<'static>>;

/// The certificate, its key, and the authority that is trusted.
fn parts(identity: &Identity) -> Result<(Chain, PrivateKeyDer<'static>, Arc<rustls::RootCertStore>), String> {
    let pem = identity.to_pem();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.ca.as_bytes()).map_err(text)?).map_err(text)?;
    let chain = vec![CertificateDer::from_pem_slice(pem.cert.as_bytes()).map_err(text)?];
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(text)?;
    Ok((chain, key, Arc::new(roots)))
}

fn server_config(identity: &Identity) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (chain, key, roots) = parts(identity)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().map_err(text)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(text)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(text)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(text)?)))
}

fn client_config(identity: &Identity) -> Result<ClientConfig, String> {
    let (chain, key, roots) = parts(identity)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(text)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(text)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(text)?)))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)
}

/// The far side's endpoint.
pub(super) struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves as long as it is held.
pub(super) fn serve(identity: &Identity) -> Result<Server, String> {
    let runtime = runtime()?;
    let entered = runtime.enter();
    let endpoint = Endpoint::server(server_config(identity)?, (Ipv4Addr::LOCALHOST, 0).into()).map_err(text)?;
    let address = endpoint.local_addr().map_err(text)?;
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    // Both end with the connection.
                    tokio::spawn(echo(connection.clone()));
                    let _ = count(connection).await;
                }
            });
        }
    });
    drop(entered);
    Ok(Server { address, _runtime: runtime })
}

/// Reads each stream of records to its end and answers with their number.
async fn count(connection: Connection) -> Result<(), String> {
    loop {
        let mut records = connection.accept_uni().await.map_err(text)?;
        let mut bytes = 0;
        while let Some(chunk) = records.read_chunk(usize::MAX, true).await.map_err(text)? {
            bytes += chunk.bytes.len() as u64;
        }
        let mut answer = connection.open_uni().await.map_err(text)?;
        answer.write_all(&(bytes / FRAMED as u64).to_le_bytes()).await.map_err(text)?;
        answer.finish().map_err(text)?;
    }
}

/// Gives back what comes.
async fn echo(connection: Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let mut ball = [0; RECORD];
        while receive.read_exact(&mut ball).await.is_ok() && send.write_all(&ball).await.is_ok() {}
    }
}

/// Runs `load` with a connection to the far side.
fn with_connection<T, L>(wire: &Wire, load: impl FnOnce(Connection) -> L + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    L: Future<Output = Result<T, String>> + Send + 'static,
{
    let client = client_config(&wire.identity)?;
    let address = wire.address;
    runtime()?.block_on(async move {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).map_err(text)?;
        endpoint.set_default_client_config(client);
        let connection = endpoint.connect(address, FAR).map_err(text)?.await.map_err(text)?;
        let result = tokio::spawn(load(connection.clone())).await.map_err(text)?;
        connection.close(0u32.into(), b"done");
        endpoint.wait_idle().await;
        result
    })
}

/// Sends records on one stream.
pub(super) fn tell(wire: Wire, records: usize) -> Result<Duration, String> {
    with_connection(&wire, move |connection| async move {
        let mut chunk = Vec::with_capacity(WRITE);
        for _ in 0..WRITE / FRAMED {
            chunk.extend_from_slice(&(RECORD as u16).to_le_bytes());
            chunk.extend_from_slice(&[7; RECORD]);
        }
        let since = Instant::now();
        let mut stream = connection.open_uni().await.map_err(text)?;
        let mut left = records * FRAMED;
        while left > 0 {
            let length = chunk.len().min(left);
            stream.write_all(&chunk[..length]).await.map_err(text)?;
            left -= length;
        }
        stream.finish().map_err(text)?;
        let mut answer = [0; 8];
        connection.accept_uni().await.map_err(text)?.read_exact(&mut answer).await.map_err(text)?;
        let time = since.elapsed();
        let arrived = u64::from_le_bytes(answer);
        if arrived == records as u64 { Ok(time) } else { Err(format!("{arrived} records arrived of {records}")) }
    })
}

/// Ping-pong.
pub(super) fn ask(wire: Wire, questions: usize) -> Result<Vec<Duration>, String> {
    with_connection(&wire, move |connection| async move {
        let (mut send, mut receive) = connection.open_bi().await.map_err(text)?;
        let (ball, mut back) = ([7; RECORD], [0; RECORD]);
        let mut times = Vec::with_capacity(questions);
        for _ in 0..questions {
            let since = Instant::now();
            send.write_all(&ball).await.map_err(text)?;
            receive.read_exact(&mut back).await.map_err(text)?;
            times.push(since.elapsed());
            if back != ball {
                return Err("the echo is another".to_string());
            }
        }
        Ok(times)
    })
}
