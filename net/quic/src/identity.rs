//! What one node proves itself with: its certificate, its key, and the authorities that it trusts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use playhouse_wire::NodeName;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::certificate::{Certificate, read_ders};
use crate::certs::CertError;
use crate::limits::{AUTHORITIES_MAX, CLOCK_SKEW_MAX, EXPIRES_SOON, EXPIRES_SOON_PART};

/// The certificate and key of one node, and the authorities of its cluster: one, or while that is being replaced several.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    node: NodeName,
    cluster: String,
    certificate: Certificate,
    authorities: Vec<Certificate>,
    pem: IdentityPem,
}

/// An [`Identity`] as texts, to be kept in files.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityPem {
    /// The node's certificate.
    pub cert: String,
    /// The node's key. A secret.
    pub key: String,
    /// The authority's certificate; with several, one after another.
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
    /// `ca` may hold the certificates of several authorities of the cluster, in any order: all are trusted, and one of them must have
    /// signed.
    ///
    /// # Errors
    /// When a text is not such PEM, the key does not fit, no authority did sign, or a name is missing.
    pub fn from_pem(cert: &str, key: &str, ca: &str) -> Result<Identity, CertError> {
        let (cluster, authorities) = authorities(ca)?;
        let leaf = read_cert("certificate", cert)?;
        check_pair("certificate", cert, key)?;
        let roots = roots(ca)?;
        let certificate = Certificate::from_der(leaf.clone())?;
        let parsed = rustls::server::ParsedCertificate::try_from(&leaf)
            .map_err(|e| CertError::BadPem { what: "certificate", why: e.to_string() })?;
        // At the first moment at which the certificate is valid, so that the clock plays no part here.
        let moment = UnixTime::since_unix_epoch(certificate.valid_from());
        let algorithms = provider().signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], moment, algorithms)
            .map_err(|e| CertError::WrongAuthority(e.to_string()))?;
        let node = node_of(&leaf)?;
        let pem = IdentityPem { cert: cert.to_string(), key: key.to_string(), ca: ca.to_string() };
        Ok(Identity(Arc::new(Inner { node, cluster, certificate, authorities, pem })))
    }

    /// The same certificate, trusting another identity's authority: what an impostor would bring. Nothing that it proves is believed
    /// by that authority's nodes; for checks that they do refuse it.
    #[must_use]
    pub fn trusting(&self, other: &Identity) -> Identity {
        self.with(other.0.pem.ca.clone(), other.0.cluster.clone(), other.0.authorities.clone())
    }

    /// The same certificate, trusting further authorities of its cluster too: each text holds the certificates of one or more. Those
    /// that are trusted already change nothing.
    ///
    /// This is how an authority is replaced while nodes talk: first all nodes trust both, then all get certificates of the new one,
    /// then none trusts the old one any more.
    ///
    /// # Errors
    /// When a text is not such PEM or holds a key, an authority is for another cluster, or they are more than [`AUTHORITIES_MAX`].
    pub fn also_trusting(&self, further: &[&str]) -> Result<Identity, CertError> {
        let mut ca = self.0.pem.ca.clone();
        for text in further {
            if text.contains("PRIVATE KEY-----") {
                // It would go where certificates are handed round.
                let why = "there is a private key in it, and certificates only are wanted".into();
                return Err(CertError::BadPem { what: "authority's certificate", why });
            }
            let have = Certificate::read_all(&ca)?;
            if Certificate::read_all(text)?.iter().all(|authority| have.contains(authority)) {
                continue;
            }
            if !ca.ends_with('\n') {
                ca.push('\n');
            }
            ca.push_str(text);
        }
        let (cluster, authorities) = authorities(&ca)?;
        Ok(self.with(ca, cluster, authorities))
    }

    fn with(&self, ca: String, cluster: String, authorities: Vec<Certificate>) -> Identity {
        let pem = IdentityPem { ca, ..self.0.pem.clone() };
        let (node, certificate) = (self.0.node.clone(), self.0.certificate.clone());
        Identity(Arc::new(Inner { node, cluster, certificate, authorities, pem }))
    }

    /// What its certificate says.
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    /// The authorities that it trusts, at least one.
    pub fn authorities(&self) -> &[Certificate] {
        &self.0.authorities
    }

    /// Until when its certificate is valid (time since the Unix epoch).
    pub fn valid_until(&self) -> Duration {
        self.0.certificate.valid_until()
    }

    /// Whether its certificate is no longer valid `within` after `now` (time since the Unix epoch).
    pub fn expires_within(&self, now: Duration, within: Duration) -> bool {
        self.valid_until() < now.saturating_add(within)
    }

    /// Whether it is time for a new certificate: less than [`EXPIRES_SOON`] is left of it, or less than a tenth of its life. One that
    /// lives for days only would be warned about from the first day on; with such, half of the life must be over.
    pub fn expires_soon(&self, now: Duration) -> bool {
        self.expires_within(now, soon(&self.0.certificate))
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

/// How long before a certificate's end it is time for a new one.
pub(crate) fn soon(certificate: &Certificate) -> Duration {
    // It was made when it had been valid for the skew already.
    let life = certificate.valid_until().saturating_sub(certificate.valid_from() + CLOCK_SKEW_MAX);
    EXPIRES_SOON.max(life / EXPIRES_SOON_PART).min(life / 2)
}

/// An authority's certificate: the first one in the text.
pub(crate) fn read_authority(ca_pem: &str) -> Result<Certificate, CertError> {
    Certificate::from_der(read_cert("authority's certificate", ca_pem)?)
}

/// The authorities in the text, and the cluster that all of them are for.
fn authorities(ca_pem: &str) -> Result<(String, Vec<Certificate>), CertError> {
    let authorities = Certificate::read_all(ca_pem)?;
    if authorities.len() > AUTHORITIES_MAX {
        return Err(CertError::TooManyAuthorities(authorities.len()));
    }
    let cluster = |authority: &Certificate| authority.cluster().filter(|_| authority.is_authority()).map(str::to_string);
    let mut clusters = authorities.iter().map(|authority| cluster(authority).ok_or(CertError::NoCluster));
    let ours = clusters.next().unwrap_or(Err(CertError::NoCluster))?;
    for theirs in clusters {
        let theirs = theirs?;
        if theirs != ours {
            return Err(CertError::OtherCluster { ours, theirs });
        }
    }
    Ok((ours, authorities))
}

/// Checks that `key_pem` is the key of `cert_pem`.
pub(crate) fn check_pair(what: &'static str, cert_pem: &str, key_pem: &str) -> Result<(), CertError> {
    let bad = |_| CertError::BadPem { what: "key", why: "it is no key that TLS can sign with".into() };
    let key = provider().key_provider.load_private_key(read_key("key", key_pem)?).map_err(bad)?;
    let pair = rustls::sign::CertifiedKey::new(vec![read_cert(what, cert_pem)?], key);
    pair.keys_match().map_err(|_| CertError::WrongKey)
}

fn read_cert(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, CertError> {
    Ok(read_ders(what, pem)?.swap_remove(0))
}

fn read_key(what: &'static str, pem: &str) -> Result<PrivateKeyDer<'static>, CertError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| {
        let is_certificate = pem.contains("BEGIN CERTIFICATE-----");
        // Of what the reader says, nothing is passed on that could hold a piece of a key.
        let why = match e {
            rustls::pki_types::pem::Error::NoItemsFound if is_certificate => "it is a certificate, not a private key",
            rustls::pki_types::pem::Error::NoItemsFound => "there is no private key in it",
            _ => "the private key in it is damaged",
        };
        CertError::BadPem { what, why: why.into() }
    })
}

fn roots(ca_pem: &str) -> Result<RootCertStore, CertError> {
    let mut roots = RootCertStore::empty();
    let what = "authority's certificate";
    for der in read_ders(what, ca_pem)? {
        roots.add(der).map_err(|e| CertError::BadPem { what, why: e.to_string() })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::Authority;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn issue(authority: &Authority, days: u32) -> Identity {
        authority.issue(&"w1".parse().unwrap(), NOW, DAY * days).unwrap()
    }

    #[test]
    fn a_warning_comes_in_time_and_not_from_the_first_day_on() {
        let authority = Authority::new("demo", NOW).unwrap();
        // A month before the end, or for the last tenth, or for the second half, as the life is long.
        for (days, warned_for) in [(1, 0.5), (10, 5.0), (90, 30.0), (3000, 300.0)] {
            let identity = issue(&authority, days);
            let left = |days: f64| identity.valid_until() - DAY.mul_f64(days);
            assert!(!identity.expires_soon(NOW), "{days}");
            assert!(!identity.expires_soon(left(warned_for + 0.01)) && identity.expires_soon(left(warned_for - 0.01)), "{days}");
            assert!(identity.expires_soon(identity.valid_until() + DAY), "{days}");
        }
        let identity = issue(&authority, 10);
        assert_eq!(identity.valid_until(), NOW + DAY * 10);
        assert!(identity.expires_within(NOW, DAY * 11) && !identity.expires_within(NOW, DAY * 10));
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let authority = Authority::valid_for("demo", NOW, DAY * 10).unwrap();
        assert!(authority.issue(&"w1".parse().unwrap(), NOW, DAY * 10).is_ok());
        let long = authority.issue(&"w1".parse().unwrap(), NOW, DAY * 11);
        assert!(matches!(long, Err(CertError::Outlives { .. })), "{long:?}");
        let again = Authority::from_pem(&authority.cert_pem(), &authority.key_pem()).unwrap();
        assert_eq!(again.valid_until(), NOW + DAY * 10);
        assert!(matches!(Authority::valid_for("demo", NOW, Duration::ZERO), Err(CertError::BadValidity(..))));
    }

    #[test]
    fn several_authorities_of_one_cluster_are_trusted() {
        let (old, new) = (Authority::new("demo", NOW).unwrap(), Authority::new("demo", NOW).unwrap());
        let identity = issue(&old, 1);
        let both = identity.also_trusting(&[&new.cert_pem()]).unwrap();
        assert_eq!(both.roots().unwrap().len(), 2);
        // The same again adds nothing; as PEM it is the same; and the order does not matter.
        assert_eq!(both.also_trusting(&[&new.cert_pem(), &old.cert_pem()]).unwrap().to_pem(), both.to_pem());
        let pem = both.to_pem();
        assert_eq!(Identity::from_pem(&pem.cert, &pem.key, &pem.ca).unwrap().roots().unwrap().len(), 2);
        let turned = [new.cert_pem(), old.cert_pem()].concat();
        assert_eq!(Identity::from_pem(&pem.cert, &pem.key, &turned).unwrap().cluster(), "demo");

        let live = Authority::new("live", NOW).unwrap();
        let other = identity.also_trusting(&[&live.cert_pem()]).unwrap_err();
        assert_eq!(
            other.to_string(),
            "an authority of cluster `live` cannot be trusted beside one of cluster `demo`; take authorities of one cluster"
        );
        let mut many = identity.clone();
        for _ in 1..AUTHORITIES_MAX {
            many = many.also_trusting(&[&Authority::new("demo", NOW).unwrap().cert_pem()]).unwrap();
        }
        assert!(matches!(many.also_trusting(&[&new.cert_pem()]), Err(CertError::TooManyAuthorities(_))));
        assert!(matches!(identity.also_trusting(&[&identity.to_pem().cert]), Err(CertError::NoCluster)));
        let with_key = [new.cert_pem(), new.key_pem()].concat();
        assert!(identity.also_trusting(&[&with_key]).unwrap_err().to_string().contains("there is a private key in it"));
    }

    #[test]
    fn no_secret_is_shown() {
        let authority = Authority::new("demo", NOW).unwrap();
        let identity = issue(&authority, 1);
        let pem = identity.to_pem();
        let mut shown = format!("{authority:?} {identity:?} {pem:?} {:?}", identity.certificate());
        // A key whose end is missing, one in the wrong place, one with a strange letter, and one that is no key inside.
        for bad in [pem.key.replace("END", "DNE"), pem.cert.clone(), pem.key.replacen('M', "*", 3), pem.key.replacen('M', "N", 1)]
        {
            shown += &format!("{:?}", Identity::from_pem(&pem.cert, &bad, &pem.ca).unwrap_err());
            shown += &format!("{:?}", Authority::from_pem(&authority.cert_pem(), &bad).unwrap_err());
        }
        shown += &format!("{:?}", Identity::from_pem(&pem.key, &pem.key, &pem.ca).unwrap_err());
        for key in [pem.key, authority.key_pem()] {
            // Where the secret stands: before it all such keys are alike, behind it is the public key. Not even a part may be shown.
            let secret = &key.lines().nth(1).unwrap()[22..62];
            let parts = secret.as_bytes().windows(8).map(|part| std::str::from_utf8(part).unwrap());
            let found: Vec<_> = parts.filter(|part| shown.contains(part)).collect();
            assert!(found.is_empty(), "{found:?} in {shown}");
        }
    }
}
