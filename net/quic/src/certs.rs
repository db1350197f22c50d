//! The cluster's own certificate authority, and the identity that it gives each node.
//!
//! Ed25519 everywhere: its signatures have one length, so the sizes of handshakes cannot vary. The authority's certificate names
//! the cluster (as the URI `playhouse:<cluster>`), a node's names the node (as its only DNS name).

use std::fmt;
use std::time::Duration;

use playhouse_wire::NodeName;
use playhouse_wire::limits::NAME_MAX;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::identity::Identity;
use crate::limits::{AUTHORITIES_MAX, AUTHORITY_VALID, CLOCK_SKEW_MAX, IDENTITY_VALID_MAX, VALID_FROM};
use crate::utc::Utc;

const URI: &str = "playhouse:";

/// A certificate or key is not what it should be. Nothing was made or loaded.
#[derive(thiserror::Error)]
pub enum CertError {
    /// The cluster's name cannot stand in a certificate.
    #[error("`{0}` is no name for a cluster: use 1 to {NAME_MAX} letters, digits and `- _ .`")]
    BadCluster(String),
    /// The node's name cannot stand in a certificate as a DNS name.
    #[error("`{0}` is no DNS name, so no certificate can prove it: use labels of letters and digits, joined by `-` or `.`")]
    BadNode(NodeName),
    /// The validity ends before it begins, or too late.
    #[error("a certificate cannot be valid for {0:?} from {1:?} after 1970: it must end after 2020 and span at most ten years")]
    BadValidity(Duration, Duration),
    /// The node's certificate would be valid longer than the authority's.
    #[error(
        "a certificate until {until} would outlive its authority, which ends at {authority}; ask for less, or make a new authority"
    )]
    Outlives {
        /// When the node's certificate would end.
        until: Utc,
        /// When the authority's ends.
        authority: Utc,
    },
    /// The provider of cryptography refused.
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The text is not PEM of the wanted kind.
    #[error("the {what} cannot be read: {why}; give the PEM of the {what}, whole")]
    BadPem {
        /// Certificate, key or authority.
        what: &'static str,
        /// What the reader says.
        why: String,
    },
    /// The key belongs to another certificate.
    #[error("the key does not fit the certificate; take both from the same identity")]
    WrongKey,
    /// Another authority signed the certificate.
    #[error("this authority did not sign the certificate ({0}); take both from the same cluster")]
    WrongAuthority(String),
    /// The certificate does not name exactly one node.
    #[error("the certificate names no node, or several: {0}")]
    NoNode(String),
    /// The authority's certificate does not name a cluster.
    #[error("the authority's certificate names no cluster; it was not made by `Authority`")]
    NoCluster,
    /// The authorities that are to be trusted are for different clusters.
    #[error(
        "an authority of cluster `{theirs}` cannot be trusted beside one of cluster `{ours}`; take authorities of one cluster"
    )]
    OtherCluster {
        /// The cluster of the first authority.
        ours: String,
        /// The cluster of the other one.
        theirs: String,
    },
    /// Too many authorities are to be trusted.
    #[error("{0} authorities are more than the {AUTHORITIES_MAX} that a node may trust; leave out those that sign no more")]
    TooManyAuthorities(usize),
}

impl std::fmt::Debug for CertError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A cluster's certificate authority: its certificate and its key.
pub struct Authority {
    cluster: String,
    valid_until: Duration,
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of logs.
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority for `cluster`, valid for ten years from `now` (time since the Unix epoch).
    ///
    /// ```
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let now = Duration::from_secs(1_700_000_000);
    /// let authority = playhouse_net::Authority::new("demo", now)?;
    /// let identity = authority.issue(&"w1".parse()?, now, Duration::from_secs(86_400))?;
    /// assert_eq!((identity.node().as_str(), identity.cluster()), ("w1", "demo"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the name is no name for a cluster, or the provider of cryptography refuses.
    pub fn new(cluster: &str, now: Duration) -> Result<Authority, CertError> {
        Authority::valid_for(cluster, now, AUTHORITY_VALID)
    }

    /// A new authority for `cluster`, valid until `valid` after `now` (time since the Unix epoch).
    ///
    /// # Errors
    /// As [`Authority::new`], and when the validity is empty or longer than ten years.
    pub fn valid_for(cluster: &str, now: Duration, valid: Duration) -> Result<Authority, CertError> {
        let mut params = authority_params(cluster)?;
        let valid_until = set_validity(&mut params, now, valid)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let cert_pem = params.self_signed(&key)?.pem();
        Ok(Authority { cluster: cluster.to_string(), valid_until, cert_pem, issuer: Issuer::new(params, key) })
    }

    /// An authority that was kept as PEM.
    ///
    /// # Errors
    /// When the texts are not such PEM, or do not belong together.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Authority, CertError> {
        let certificate = crate::identity::read_authority(cert_pem)?;
        let cluster = certificate.cluster().ok_or(CertError::NoCluster)?.to_string();
        crate::identity::check_pair("authority's certificate", cert_pem, key_pem)?;
        // What the reader says is not passed on: it could hold a piece of the key.
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem, &rcgen::PKCS_ED25519)
            .map_err(|_| CertError::BadPem { what: "authority's key", why: "it is no Ed25519 key".into() })?;
        // The issuer's part of a certificate follows from the cluster's name alone, so it need not be read back.
        let params = authority_params(&cluster)?;
        let valid_until = certificate.valid_until();
        Ok(Authority { cluster, valid_until, cert_pem: cert_pem.to_string(), issuer: Issuer::new(params, key) })
    }

    /// The cluster that it is for.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Until when its certificate is valid (time since the Unix epoch). No identity that it issues is valid longer.
    pub fn valid_until(&self) -> Duration {
        self.valid_until
    }

    /// Its certificate, which every node of the cluster knows.
    pub fn cert_pem(&self) -> String {
        self.cert_pem.clone()
    }

    /// Its key. Whoever has it can make nodes of this cluster: keep it where no node runs.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A fresh key and certificate for `node`, valid until `valid` after `now` (time since the Unix epoch).
    ///
    /// # Errors
    /// When the node's name is no DNS name, the validity is empty or longer than ten years or than the authority's, or the provider of
    /// cryptography refuses.
    pub fn issue(&self, node: &NodeName, now: Duration, valid: Duration) -> Result<Identity, CertError> {
        // rustls compares DNS names; a name that it would take for an address or for nothing could never be proven.
        if !matches!(rustls::pki_types::ServerName::try_from(node.as_str()), Ok(rustls::pki_types::ServerName::DnsName(_))) {
            return Err(CertError::BadNode(node.clone()));
        }
        let mut params = CertificateParams::default();
        let until = set_validity(&mut params, now, valid)?;
        // TLS does not look at an authority's own end; this makes it one all the same.
        if until > self.valid_until {
            return Err(CertError::Outlives { until: Utc(until), authority: Utc(self.valid_until) });
        }
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, node.as_str());
        params.subject_alt_names = vec![SanType::DnsName(node.as_str().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Every node both dials and is dialled.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Identity::from_pem(&cert.pem(), &key.serialize_pem(), &self.cert_pem)
    }
}

fn authority_params(cluster: &str) -> Result<CertificateParams, CertError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if cluster.is_empty() || cluster.len() > NAME_MAX || !cluster.chars().all(allowed) {
        return Err(CertError::BadCluster(cluster.to_string()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("playhouse cluster {cluster}"));
    params.subject_alt_names = vec![SanType::URI(format!("{URI}{cluster}").as_str().try_into()?)];
    // It signs nodes and no further authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Gives the end.
fn set_validity(params: &mut CertificateParams, now: Duration, valid: Duration) -> Result<Duration, CertError> {
    // Certificates write years with four digits; 200 years after 1970 are well within.
    let end = now.saturating_add(valid);
    if valid.is_zero() || valid > IDENTITY_VALID_MAX || end <= VALID_FROM || now > VALID_FROM * 4 {
        return Err(CertError::BadValidity(valid, now));
    }
    let (start, end) = (now.saturating_sub(CLOCK_SKEW_MAX).max(VALID_FROM), Duration::from_secs(end.as_secs()));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(start.as_secs());
    params.not_after = epoch + end;
    Ok(end)
}

/// The cluster that a URI in an authority's certificate names.
pub(crate) fn cluster_in_uri(uri: &str) -> Option<&str> {
    uri.strip_prefix(URI)
}
