//! What a certificate says, for those who look after it.

use std::fmt;
use std::time::Duration;

use playhouse_wire::NodeName;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certs::{CertError, cluster_in_uri};
use crate::der::{self, Elements};
use crate::identity::{node_of, provider};
use crate::limits::CERTIFICATES_MAX;
use crate::utc::Utc;

/// `commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// `basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// A certificate, read but not verified: what it says may be a lie unless [`Certificate::is_signed_by`] an authority that is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    node: Option<NodeName>,
    cluster: Option<String>,
    issuer: String,
    serial: String,
    is_authority: bool,
    valid_from: Duration,
    valid_until: Duration,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("node", &self.node)
            .field("cluster", &self.cluster)
            .field("serial", &self.serial)
            .field("until", &Utc(self.valid_until))
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// All certificates in a text of PEM, in their order; whatever else is in it, keys for example, is passed over.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let now = Duration::from_secs(1_700_000_000);
    /// let authority = playhouse_net::Authority::new("demo", now)?;
    /// let read = playhouse_net::Certificate::read_all(&authority.cert_pem())?;
    /// assert_eq!((read[0].cluster(), read[0].is_authority()), (Some("demo"), true));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When there is none, or more than [`crate::limits::CERTIFICATES_MAX`], or one cannot be read.
    pub fn read_all(pem: &str) -> Result<Vec<Certificate>, CertError> {
        read_ders("certificate", pem)?.into_iter().map(Certificate::from_der).collect()
    }

    pub(crate) fn from_der(der: CertificateDer<'static>) -> Result<Certificate, CertError> {
        let bad = |why: &str| CertError::BadPem { what: "certificate", why: why.to_string() };
        let parsed = webpki::EndEntityCert::try_from(&der).map_err(|e| bad(&e.to_string()))?;
        let serial = parsed.serial().iter().map(|byte| format!("{byte:02x}")).collect();
        let cluster = parsed.valid_uri_names().find_map(cluster_in_uri).map(str::to_string);
        let parts = Parts::of(&der).ok_or_else(|| bad("its validity cannot be read"))?;
        let (issuer, is_authority) = (parts.issuer(), parts.is_authority());
        let (valid_from, valid_until) = parts.validity().ok_or_else(|| bad("its validity cannot be read"))?;
        let node = if is_authority { None } else { node_of(&der).ok() };
        Ok(Certificate { node, cluster, issuer, serial, is_authority, valid_from, valid_until, der })
    }

    /// The node that it names. `None` for an authority's, or one that names none or several.
    pub fn node(&self) -> Option<&NodeName> {
        self.node.as_ref()
    }

    /// The cluster that it names: only an authority's does.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Whether it may sign others.
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Who it says has signed it: the common name there. Not verified.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its serial number, in hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// SHA-256 of it, in hexadecimal digits: tells it from every other one.
    pub fn fingerprint(&self) -> String {
        let sha256 = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider);
        let hash = sha256.expect("the suite is one of TLS 1.3").hash(&self.der);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From when on it is valid (time since the Unix epoch).
    pub fn valid_from(&self) -> Duration {
        self.valid_from
    }

    /// Until when it is valid (time since the Unix epoch).
    pub fn valid_until(&self) -> Duration {
        self.valid_until
    }

    /// Whether `authority` may sign others and has signed this one. Says nothing about time.
    pub fn is_signed_by(&self, authority: &Certificate) -> bool {
        let Some(parts) = Parts::of(&self.der) else { return false };
        let Ok(signer) = webpki::EndEntityCert::try_from(&authority.der) else { return false };
        let algorithms = provider().signature_verification_algorithms.all;
        authority.is_authority
            && algorithms.iter().any(|algorithm| signer.verify_signature(*algorithm, parts.signed, parts.signature).is_ok())
    }
}

/// The certificates in a text of PEM, at least one.
pub(crate) fn read_ders(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let mut ders = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        ders.push(der.map_err(|e| CertError::BadPem { what, why: e.to_string() })?);
        if ders.len() > CERTIFICATES_MAX {
            return Err(CertError::BadPem { what, why: format!("there are more than {CERTIFICATES_MAX} certificates in it") });
        }
    }
    match ders.is_empty() {
        true if pem.contains("PRIVATE KEY-----") => {
            Err(CertError::BadPem { what, why: "it is a private key, not a certificate".into() })
        }
        true => Err(CertError::BadPem { what, why: "there is no certificate in it".into() }),
        false => Ok(ders),
    }
}

/// The parts of a certificate, as RFC 5280 orders them.
struct Parts<'a> {
    signed: &'a [u8],
    signature: &'a [u8],
    issuer: Elements<'a>,
    validity: Elements<'a>,
    extensions: Elements<'a>,
}

impl<'a> Parts<'a> {
    fn of(der: &'a [u8]) -> Option<Parts<'a>> {
        let mut certificate = Elements(der).expect(der::SEQUENCE)?.inside();
        let signed = certificate.expect(der::SEQUENCE)?;
        let _algorithm = certificate.expect(der::SEQUENCE)?;
        // The first byte says how many bits of the last one do not count: none do for every algorithm in use.
        let signature = certificate.expect(der::BIT_STRING)?.content.strip_prefix(&[0])?;
        let mut fields = signed.inside();
        fields.expect(der::CONTEXT_0)?;
        fields.expect(der::INTEGER)?;
        let _algorithm = fields.expect(der::SEQUENCE)?;
        let issuer = fields.expect(der::SEQUENCE)?.inside();
        let validity = fields.expect(der::SEQUENCE)?.inside();
        let extensions = fields.find(|field| field.tag == der::CONTEXT_3);
        let extensions =
            extensions.and_then(|field| field.inside().expect(der::SEQUENCE)).map_or(Elements(&[]), |all| all.inside());
        Some(Parts { signed: signed.whole, signature, issuer, validity, extensions })
    }

    fn validity(&self) -> Option<(Duration, Duration)> {
        let mut moments = self.validity.clone();
        Some((der::moment(moments.next()?)?, der::moment(moments.next()?)?))
    }

    fn issuer(&self) -> String {
        let parts = self.issuer.clone().filter(|set| set.tag == der::SET).flat_map(|set| set.inside());
        let common = parts.into_iter().find_map(|part| {
            let mut pair = part.inside();
            let is_common = pair.expect(der::OBJECT)?.content == COMMON_NAME;
            pair.next().filter(|_| is_common)
        });
        common.map(|name| String::from_utf8_lossy(name.content).into_owned()).unwrap_or_default()
    }

    fn is_authority(&self) -> bool {
        let constraints = self.extensions.clone().find_map(|extension| {
            let mut fields = extension.inside();
            let is_constraints = fields.expect(der::OBJECT)?.content == BASIC_CONSTRAINTS;
            // Between them may stand whether the extension is critical.
            fields.find(|field| field.tag == der::OCTET_STRING).filter(|_| is_constraints)
        });
        let first = constraints.and_then(|octets| octets.inside().expect(der::SEQUENCE)?.inside().expect(der::BOOLEAN));
        first.is_some_and(|is_authority| is_authority.content != [0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::Authority;
    use crate::limits::CLOCK_SKEW_MAX;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn what_was_put_in_is_read_again() {
        let authority = Authority::new("demo", NOW).unwrap();
        let other = Authority::new("demo", NOW).unwrap();
        let pem = authority.issue(&"w1".parse().unwrap(), NOW, DAY).unwrap().to_pem();
        let both = Certificate::read_all(&[pem.key, pem.cert, pem.ca].concat()).unwrap();
        let [leaf, ca] = &both[..] else { panic!("{both:?}") };
        assert_eq!((leaf.node().map(NodeName::as_str), leaf.cluster(), leaf.is_authority()), (Some("w1"), None, false));
        assert_eq!((ca.node(), ca.cluster(), ca.is_authority()), (None, Some("demo"), true));
        assert_eq!((leaf.valid_from(), leaf.valid_until()), (NOW - CLOCK_SKEW_MAX, NOW + DAY));
        assert_eq!(leaf.issuer(), "playhouse cluster demo");
        assert_ne!(leaf.serial(), ca.serial());
        assert_eq!(leaf.fingerprint().len(), 64);
        assert_ne!(leaf.fingerprint(), ca.fingerprint());
        // The same name proves nothing, the signature does; and no node signs.
        let other = &Certificate::read_all(&other.cert_pem()).unwrap()[0];
        assert!(leaf.is_signed_by(ca) && ca.is_signed_by(ca));
        assert!(!leaf.is_signed_by(other) && !leaf.is_signed_by(leaf) && !ca.is_signed_by(leaf));
    }

    #[test]
    fn a_text_without_certificates_or_with_too_many_is_refused() {
        let authority = Authority::new("demo", NOW).unwrap();
        let why = |text: &str| Certificate::read_all(text).unwrap_err().to_string();
        assert!(why("").contains("no certificate"), "{}", why(""));
        assert!(why(&authority.key_pem()).contains("private key, not a certificate"));
        assert!(Certificate::read_all(&authority.cert_pem().repeat(CERTIFICATES_MAX)).is_ok());
        assert!(why(&authority.cert_pem().repeat(CERTIFICATES_MAX + 1)).contains("more than"));
    }

    #[test]
    fn a_certificate_cut_anywhere_is_refused() {
        let authority = Authority::new("demo", NOW).unwrap();
        let whole = CertificateDer::from_pem_slice(authority.cert_pem().as_bytes()).unwrap();
        for end in 0..whole.len() {
            assert!(Certificate::from_der(whole[..end].to_vec().into()).is_err(), "{end}");
        }
    }
}
