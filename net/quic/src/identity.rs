//! What one node proves itself with: its certificate, its key, and the authority that it trusts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use playhouse_wire::NodeName;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::certs::{CertError, cluster_in_uri};
use crate::limits::VALID_FROM;

/// The certificate and key of one node, and the authority of its cluster.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    node: NodeName,
    cluster: String,
    pem: IdentityPem,
}

/// An [`Identity`] as texts, to be kept in files.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityPem {
    /// The node's certificate.
    pub cert: String,
    /// The node's key. A secret.
    pub key: String,
    /// The authority's certificate.
    pub ca: String,
}

impl fmt::Debug for IdentityPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        f.debug_struct("IdentityPem").field("cert", &self.cert).field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("node", &self.0.node).field("cluster", &self.0.cluster).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads an identity and checks that its parts belong together. Whether the certificate has expired is for the handshake to say.
    ///
    /// # Errors
    /// When a text is not such PEM, the key does not fit, the authority did not sign, or a name is missing.
    pub fn from_pem(cert: &str, key: &str, ca: &str) -> Result<Identity, CertError> {
        let cluster = cluster_of(ca)?;
        let leaf = read_cert("certificate", cert)?;
        check_pair("certificate", cert, key)?;
        let roots = roots(ca)?;
        let parsed = rustls::server::ParsedCertificate::try_from(&leaf)
            .map_err(|e| CertError::BadPem { what: "certificate", why: e.to_string() })?;
        // At the first moment at which our certificates are valid, so that the clock plays no part here.
        let moment = UnixTime::since_unix_epoch(VALID_FROM + Duration::from_secs(1));
        let algorithms = provider().signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], moment, algorithms)
            .map_err(|e| CertError::WrongAuthority(e.to_string()))?;
        let node = node_of(&leaf)?;
        let pem = IdentityPem { cert: cert.to_string(), key: key.to_string(), ca: ca.to_string() };
        Ok(Identity(Arc::new(Inner { node, cluster, pem })))
    }

    /// The same certificate, trusting another identity's authority: what an impostor would bring. Nothing that it proves is believed
    /// by that authority's nodes; for checks that they do refuse it.
    #[must_use]
    pub fn trusting(&self, other: &Identity) -> Identity {
        let pem = IdentityPem { ca: other.0.pem.ca.clone(), ..self.0.pem.clone() };
        Identity(Arc::new(Inner { node: self.0.node.clone(), cluster: other.0.cluster.clone(), pem }))
    }

    /// The node that the certificate proves.
    pub fn node(&self) -> &NodeName {
        &self.0.node
    }

    /// The cluster that the authority is for.
    pub fn cluster(&self) -> &str {
        &self.0.cluster
    }

    /// The identity as texts. The key among them is a secret.
    pub fn to_pem(&self) -> IdentityPem {
        self.0.pem.clone()
    }

    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CertError> {
        Ok(vec![read_cert("certificate", &self.0.pem.cert)?])
    }

    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, CertError> {
        read_key("key", &self.0.pem.key)
    }

    pub(crate) fn roots(&self) -> Result<RootCertStore, CertError> {
        roots(&self.0.pem.ca)
    }
}

/// The only provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The node that a certificate names: exactly one DNS name, and it is a node's.
pub(crate) fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeName, CertError> {
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(|e| CertError::NoNode(e.to_string()))?;
    let mut names = parsed.valid_dns_names();
    match (names.next(), names.next()) {
        (Some(name), None) => NodeName::new(name).map_err(|e| CertError::NoNode(e.to_string())),
        (None, _) => Err(CertError::NoNode("it has no DNS name".into())),
        (Some(first), Some(second)) => Err(CertError::NoNode(format!("`{first}` and `{second}`"))),
    }
}

/// The cluster that an authority's certificate names.
pub(crate) fn cluster_of(ca_pem: &str) -> Result<String, CertError> {
    let ca = read_cert("authority's certificate", ca_pem)?;
    let parsed = webpki::EndEntityCert::try_from(&ca)
        .map_err(|e| CertError::BadPem { what: "authority's certificate", why: e.to_string() })?;
    let cluster = parsed.valid_uri_names().find_map(cluster_in_uri).map(str::to_string);
    cluster.ok_or(CertError::NoCluster)
}

/// Checks that `key_pem` is the key of `cert_pem`.
pub(crate) fn check_pair(what: &'static str, cert_pem: &str, key_pem: &str) -> Result<(), CertError> {
    let bad = |e: rustls::Error| CertError::BadPem { what, why: e.to_string() };
    let key = provider().key_provider.load_private_key(read_key("key", key_pem)?).map_err(bad)?;
    let pair = rustls::sign::CertifiedKey::new(vec![read_cert(what, cert_pem)?], key);
    pair.keys_match().map_err(|_| CertError::WrongKey)
}

fn read_cert(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, CertError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| CertError::BadPem { what, why: e.to_string() })
}

fn read_key(what: &'static str, pem: &str) -> Result<PrivateKeyDer<'static>, CertError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| CertError::BadPem { what, why: e.to_string() })
}

fn roots(ca_pem: &str) -> Result<RootCertStore, CertError> {
    let mut roots = RootCertStore::empty();
    let what = "authority's certificate";
    roots.add(read_cert(what, ca_pem)?).map_err(|e| CertError::BadPem { what, why: e.to_string() })?;
    Ok(roots)
}
