//! The settings of TLS and QUIC: mutual TLS 1.3, no resumption, and windows that keep the lanes apart.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use playhouse_rt::Host;
use playhouse_wire::NodeName;
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, IdleTimeout, ServerConfig, TimeSource, TransportConfig, VarInt};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::endpoint::{Planted, Shared};
use crate::identity::{Identity, node_of, provider};
use crate::keylog::keylog;
use crate::limits::{
    CLOCK_SKEW_MAX, CONNECTION_WINDOW, DATAGRAM_BUFFER, HANDSHAKE_BYTES, HANDSHAKES_MAX, IDLE_TIMEOUT_MAX, IDLE_TIMEOUT_MIN,
    INITIAL_RTT, KEEP_ALIVES, LANES, MTU_INITIAL, SEND_WINDOW, STREAM_WINDOW,
};
use crate::refusal::Refusal;

/// What both sides of the handshake say that they speak.
const ALPN: &[u8] = b"playhouse/1";

/// The host's wall clock, by which certificates and address tokens are judged.
#[derive(Debug)]
struct Clock {
    host: Host,
    /// By what time certificates are judged instead; see [`Planted::stale_certificate`].
    stopped: Option<Duration>,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.stopped.unwrap_or_else(|| self.host.wall_clock())))
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.host.system_time()
    }
}

/// The settings of the two sides.
pub(crate) struct Configs {
    pub(crate) server: ServerConfig,
    /// To dial a node whose name is known.
    pub(crate) client: ClientConfig,
    /// To learn the name of a node of the cluster.
    pub(crate) asking: ClientConfig,
}

/// Believes every certificate of the cluster, whichever node it names: as if that one had been dialled.
#[derive(Debug)]
struct AnyNode(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyNode {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let node = node_of(leaf).map_err(|error| rustls::Error::General(error.to_string()))?;
        let name = ServerName::try_from(node.as_str()).map_err(|error| rustls::Error::General(error.to_string()))?;
        self.0.verify_server_cert(leaf, chain, &name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The settings of the answering and of the dialling side, by the clock of `host`.
///
/// Text of the error: what is wrong with the configuration.
pub(crate) fn configs(host: &Host, identity: &Identity, idle: Duration, planted: Planted) -> Result<Configs, String> {
    let stopped = planted.stale_certificate.then(|| identity.certificate().valid_from() + CLOCK_SKEW_MAX);
    let clock = Arc::new(Clock { host: host.clone(), stopped });
    let transport = Arc::new(transport(idle)?);
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let chain = identity.chain().map_err(|e| text(&e))?;
    let roots = Arc::new(identity.roots().map_err(|e| text(&e))?);

    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build().map_err(|e| text(&e))?;
    let mut server = rustls::ServerConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| text(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), identity.key().map_err(|e| text(&e))?)
        .map_err(|e| text(&e))?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    // No resumption and no early data: each connection proves its certificate anew, and a recorded hello is worth nothing.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    server.max_early_data_size = 0;
    server.key_log = keylog();

    let mut client = rustls::ClientConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| text(&e))?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain, identity.key().map_err(|e| text(&e))?)
        .map_err(|e| text(&e))?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = rustls::client::Resumption::disabled();
    client.enable_early_data = false;
    client.key_log = keylog();
    let believes = WebPkiServerVerifier::builder_with_provider(roots, provider()).build().map_err(|e| text(&e))?;
    let mut asking = client.clone();
    asking.dangerous().set_certificate_verifier(Arc::new(AnyNode(believes)));

    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server).map_err(|e| text(&e))?));
    server.transport_config(transport.clone());
    server.time_source(clock);
    server.max_incoming(HANDSHAKES_MAX);
    server.incoming_buffer_size(HANDSHAKE_BYTES / HANDSHAKES_MAX as u64);
    server.incoming_buffer_size_total(HANDSHAKE_BYTES);
    let dialling = |client: rustls::ClientConfig| {
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).map_err(|e| text(&e))?));
        client.transport_config(transport.clone());
        Ok::<_, String>(client)
    };
    Ok(Configs { client: dialling(client)?, asking: dialling(asking)?, server })
}

fn transport(idle: Duration) -> Result<TransportConfig, String> {
    if !(IDLE_TIMEOUT_MIN..=IDLE_TIMEOUT_MAX).contains(&idle) {
        return Err(format!("an idle time-out of {idle:?} is not within {IDLE_TIMEOUT_MIN:?} and {IDLE_TIMEOUT_MAX:?}"));
    }
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::try_from(idle).map_err(|e| e.to_string())?))
        .keep_alive_interval(Some(idle / KEEP_ALIVES))
        .max_concurrent_uni_streams(VarInt::from_u32(LANES as u32))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .initial_rtt(INITIAL_RTT)
        .initial_mtu(MTU_INITIAL)
        // Not BBR: it draws dice of its own, which no seed reaches.
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    Ok(transport)
}

/// The node that the peer's certificate proves. rustls has verified the certificate by now.
pub(crate) fn peer_node(shared: &Shared, connection: &Connection) -> Result<NodeName, Refusal> {
    let identity = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let Some(leaf) = identity.as_ref().and_then(|chain| chain.first()) else {
        return Err(Refusal::Tls("the peer showed no certificate".into()));
    };
    let node = node_of(leaf).map_err(|e| Refusal::Tls(e.to_string()))?;
    shared.credentials.look(&shared.host, &node, leaf);
    Ok(node)
}
