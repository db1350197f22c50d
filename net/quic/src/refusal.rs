//! Why a connection is refused or ended, in words for people, kinds for counters and codes for the wire.

use playhouse_wire::limits::WIRE_VERSION;
use playhouse_wire::{FrameError, Incarnation, Lane, NodeName};
use quinn::{ConnectionError, TransportErrorCode, VarInt};

use crate::limits::{DATAGRAM_BURST, DATAGRAM_MAX, HELLO_TIMEOUT, REASON_MAX};

/// Kinds of refusals, as [`crate::Stats`] counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// The TLS handshake failed: another authority, an expired certificate, no certificate, another name.
    Tls,
    /// No hello, or an unreadable one, or too late.
    Hello,
    /// The peer speaks another version of the wire.
    Version,
    /// The peer belongs to another cluster.
    Cluster,
    /// The peer says another name than its certificate proves.
    Name,
    /// The peer is an earlier life of a node that is connected already.
    Stale,
    /// The node is connected already, by the connection that both sides prefer.
    Duplicate,
    /// Too many handshakes were under way.
    Busy,
    /// A peer that was connected broke the rules of the lanes or of datagrams.
    Protocol,
    /// A peer sent far more datagrams than a node sends.
    Flood,
    /// A peer dialled, but this endpoint only dials out.
    DialOnly,
}

impl RefusalKind {
    /// All kinds.
    pub const ALL: [RefusalKind; 11] = [
        RefusalKind::Tls,
        RefusalKind::Hello,
        RefusalKind::Version,
        RefusalKind::Cluster,
        RefusalKind::Name,
        RefusalKind::Stale,
        RefusalKind::Duplicate,
        RefusalKind::Busy,
        RefusalKind::Protocol,
        RefusalKind::Flood,
        RefusalKind::DialOnly,
    ];
}

/// The code of an ordinary end: somebody closed the connection.
pub(crate) const GOODBYE: VarInt = VarInt::from_u32(0);

/// The code of a connection that another one replaced.
pub(crate) const REPLACED: VarInt = VarInt::from_u32(1);

/// A peer is refused. It is at fault, or differently configured, or merely one connection too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    #[error("no hello: {0}")]
    Hello(String),
    #[error("no hello within {HELLO_TIMEOUT:?}")]
    Late,
    #[error("wire version {0} is not spoken here, only {WIRE_VERSION}; upgrade one of the nodes")]
    Version(u64),
    #[error("this is cluster `{ours}`, not `{theirs}`")]
    Cluster { ours: String, theirs: String },
    #[error("the hello says `{said}`, but the certificate proves `{proved}`")]
    Name { said: NodeName, proved: NodeName },
    #[error("the peer has the name of this node, `{0}`; each node needs a name of its own")]
    Own(NodeName),
    #[error(
        "{node} {theirs} is an earlier life; {live} is connected: if that lives, two processes have this name, or their host's clock went back"
    )]
    Stale { node: NodeName, theirs: Incarnation, live: Incarnation },
    #[error("{0} is connected already")]
    Duplicate(NodeName),
    #[error("broken frames on the {lane:?} lane: {error}")]
    Frames { lane: Lane, error: FrameError },
    #[error("the {0:?} lane ended in the middle of a message")]
    Cut(Lane),
    #[error("the {0:?} lane was opened twice")]
    Twice(Lane),
    #[error("there is no lane {0}")]
    NoLane(u8),
    #[error("a lane was ended and opened again")]
    Again,
    #[error("a lane ended before it said which one it is")]
    Silent,
    #[error("the receiver of the {0:?} lane panicked")]
    Panicked(Lane),
    #[error("a datagram of {0} bytes, but only {DATAGRAM_MAX} are allowed")]
    LongDatagram(usize),
    #[error("a flood of datagrams: more than {} at once", 2 * DATAGRAM_BURST)]
    Flood,
    #[error("the receiver of the datagrams panicked")]
    PanickedDatagram,
}

impl Refusal {
    pub(crate) fn kind(&self) -> RefusalKind {
        match self {
            Refusal::Tls(_) => RefusalKind::Tls,
            Refusal::Hello(_) | Refusal::Late => RefusalKind::Hello,
            Refusal::Version(_) => RefusalKind::Version,
            Refusal::Cluster { .. } => RefusalKind::Cluster,
            Refusal::Name { .. } | Refusal::Own(_) => RefusalKind::Name,
            Refusal::Stale { .. } => RefusalKind::Stale,
            Refusal::Duplicate(_) => RefusalKind::Duplicate,
            Refusal::Frames { .. } | Refusal::Cut(_) | Refusal::Twice(_) | Refusal::NoLane(_) => RefusalKind::Protocol,
            Refusal::Again | Refusal::Silent | Refusal::Panicked(_) => RefusalKind::Protocol,
            Refusal::LongDatagram(_) | Refusal::PanickedDatagram => RefusalKind::Protocol,
            Refusal::Flood => RefusalKind::Flood,
        }
    }

    /// The code on the wire; those below 16 are no refusals.
    pub(crate) fn code(&self) -> VarInt {
        code(self.kind())
    }
}

fn code(kind: RefusalKind) -> VarInt {
    VarInt::from_u32(16 + kind as u32)
}

/// A handshake did not lead to a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// We refused the peer.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The peer refused us, or cannot be reached.
    #[error("{0}")]
    Lost(String),
    /// The peer refused us, as it is connected to a later life of this node.
    #[error("{0}")]
    Outlived(String),
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Failure {
        match &error {
            // Codes from 0x100 on are alerts of TLS; raised here, they are our refusal.
            ConnectionError::TransportError(e) if (0x100..0x200).contains(&u64::from(e.code)) => {
                Failure::Refused(Refusal::Tls(tls_words(u64::from(e.code), &e.reason, "the peer's", "this node")))
            }
            ConnectionError::ApplicationClosed(close) if close.error_code == code(RefusalKind::Stale) => {
                Failure::Outlived(why(&error))
            }
            _ => Failure::Lost(why(&error)),
        }
    }
}

/// Why a connection ended, for people.
pub(crate) fn why(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let reason = cut(&String::from_utf8_lossy(&close.reason));
            if close.error_code.into_inner() < 16 { reason } else { format!("refused by the peer: {reason}") }
        }
        // QUIC's own word for an endpoint that takes no connections: one that is about to stop, or only dials.
        ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            "the peer takes no connections: it stops, or only dials out".into()
        }
        ConnectionError::ConnectionClosed(close) if (0x100..0x200).contains(&u64::from(close.error_code)) => {
            let reason = String::from_utf8_lossy(&close.reason);
            let words = tls_words(u64::from(close.error_code), &reason, "this node's", "the peer");
            cut(&format!("refused by the peer: the TLS handshake failed: {words}"))
        }
        ConnectionError::ConnectionClosed(close) => {
            let reason = String::from_utf8_lossy(&close.reason);
            let colon = if reason.is_empty() { "" } else { ": " };
            cut(&format!("the peer ended the connection ({}){colon}{reason}", close.error_code))
        }
        ConnectionError::TimedOut => "no sign of life from the peer".into(),
        ConnectionError::Reset => "the peer does not know this connection; it may have started anew".into(),
        ConnectionError::LocallyClosed => "closed by this node".into(),
        other => cut(&other.to_string()),
    }
}

/// What an alert of TLS means between nodes: whose certificate is refused, by whom, and what to do.
fn tls_words(code: u64, reason: &str, whose: &str, by: &str) -> String {
    // Both of rustls' forms of each: the bare one, and the one with names or times.
    let has = |bare: &str, full: &str| reason.contains(bare) || reason.contains(full);
    let for_another;
    let what = match code - 0x100 {
        _ if has("NotValidForName", "not valid for name") => {
            let names = reason.split_once("only valid for ").map_or(String::new(), |(_, names)| format!(", {}", names.trim()));
            for_another = format!("is for another node{names}: look at the name and the address that were dialled");
            &for_another
        }
        _ if has("NotValidYet", "not valid yet") => "is not valid yet: look at the clocks of both hosts",
        45 => "has expired: issue a new one (if the clocks of both hosts are right)",
        48 => "is of an authority that it does not trust: all nodes of a cluster need certificates of one authority",
        // A certificate whose issuer has the right name but another key.
        51 | 42 if reason.contains("BadSignature") || reason.is_empty() => {
            "was not signed by the authority that it trusts, though perhaps by one of the same name: issue it anew with the cluster's own"
        }
        116 => "is missing: a node must show one",
        _ => return if reason.is_empty() { format!("alert {}", code - 0x100) } else { reason.to_string() },
    };
    format!("{by} refuses {whose} certificate, which {what}")
}

/// Cuts a reason to what is kept and sent.
pub(crate) fn cut(text: &str) -> String {
    let mut end = text.len().min(REASON_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_at_their_own_place() {
        for (place, kind) in RefusalKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn alerts_are_told_in_plain_words() {
        let ours = |code: u64, reason: &str| tls_words(0x100 + code, reason, "the peer's", "this node");
        for (code, reason, says) in [
            (48, "invalid peer certificate: UnknownIssuer", "this node refuses the peer's certificate, which is of an authority"),
            (51, "invalid peer certificate: BadSignature", "not signed by the authority that it trusts"),
            (45, "invalid peer certificate: Expired", "has expired"),
            (42, "invalid peer certificate: NotValidForName", "for another node"),
            (
                42,
                "invalid peer certificate: certificate not valid for name \"b\"; certificate is only valid for DnsName(\"a\")",
                "another node",
            ),
            (42, "invalid peer certificate: NotValidYet", "not valid yet"),
            (45, "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX), but", "not valid yet"),
            (116, "peer sent no certificates", "is missing"),
        ] {
            let words = ours(code, reason);
            assert!(words.contains(says) && !words.contains("invalid"), "{words}");
            assert!(words.len() <= REASON_MAX);
        }
        assert_eq!(
            tls_words(0x100 + 48, "", "this node's", "the peer").split(',').next(),
            Some("the peer refuses this node's certificate")
        );
        assert_eq!(ours(80, "something new"), "something new");
        assert_eq!(ours(80, ""), "alert 80");
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let text = cut(&"ä".repeat(REASON_MAX));
        assert!(text.len() <= REASON_MAX && text.chars().all(|c| c == 'ä'));
        assert_eq!(cut("short"), "short");
    }
}
