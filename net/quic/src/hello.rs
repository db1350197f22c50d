//! The first words of a connection: each side says who it is, and is believed only as far as its certificate goes.

use bytes::{Buf, Bytes, BytesMut};
use playhouse_wire::frame::write_message;
use playhouse_wire::limits::{SYSTEM_MESSAGE_MAX, WIRE_VERSION};
use playhouse_wire::packet::Hello;
use playhouse_wire::{Frames, Lane, NodeName};
use quinn::{Connection, ReadError, RecvStream, SendStream, WriteError};

use crate::refusal::{Failure, Refusal};

/// The system lane of a peer after its hello, with what was read behind it.
pub(crate) struct SystemLane {
    pub(crate) stream: RecvStream,
    pub(crate) frames: Frames,
}

/// Opens our system lane and says our hello on it.
pub(crate) async fn write(connection: &Connection, own: &Hello) -> Result<SendStream, Failure> {
    let mut stream = connection.open_uni().await?;
    // The stream is ours and open: only a connection that ended can refuse, and then so does the write.
    let _ = stream.set_priority(priority(Lane::System));
    let hello = own.encode().map_err(|e| Refusal::Hello(e.to_string()))?;
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&[Lane::System as u8]);
    write_message(&mut bytes, &hello);
    stream.write_chunk(bytes.freeze()).await.map_err(|e| match e {
        WriteError::ConnectionLost(lost) => Failure::from(lost),
        other => Failure::Lost(other.to_string()),
    })?;
    Ok(stream)
}

/// Reads the peer's hello. Nothing else of the peer is read before.
pub(crate) async fn read(connection: &Connection) -> Result<(SystemLane, Bytes), Failure> {
    let mut stream = connection.accept_uni().await?;
    let mut greeting = Greeting::default();
    loop {
        let chunk = stream.read_chunk(SYSTEM_MESSAGE_MAX, true).await.map_err(|e| match e {
            ReadError::ConnectionLost(lost) => Failure::from(lost),
            other => Failure::Refused(Refusal::Hello(other.to_string())),
        })?;
        let Some(chunk) = chunk else { return Err(Refusal::Hello("the system lane ended".into()).into()) };
        if let Some(hello) = greeting.push(chunk.bytes)? {
            return Ok((SystemLane { stream, frames: greeting.into_frames() }, hello));
        }
    }
}

/// The beginning of a peer's system lane, in whatever pieces it arrives.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The first byte, which says that this is the system lane, is there.
    begun: bool,
    frames: Frames,
}

impl Default for Greeting {
    fn default() -> Greeting {
        Greeting { begun: false, frames: Frames::new(Lane::System.message_max()) }
    }
}

impl Greeting {
    /// Takes the next piece. The hello, once it is whole.
    pub(crate) fn push(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Refusal> {
        if !self.begun && bytes.has_remaining() {
            self.begun = true;
            let lane = bytes.get_u8();
            if lane != Lane::System as u8 {
                return Err(Refusal::Hello(format!("the first lane is {lane}, not the system's")));
            }
        }
        self.frames.push(bytes);
        self.frames.next_message().map_err(|error| Refusal::Hello(error.to_string()))
    }

    /// The lane behind the hello, with what was read of it already.
    pub(crate) fn into_frames(self) -> Frames {
        self.frames
    }
}

/// Whether to believe a hello from a peer whose certificate proves `proved`.
pub(crate) fn check(own: &Hello, proved: &NodeName, hello: &[u8]) -> Result<Hello, Refusal> {
    // The version stands first in every version's hello, so it is looked at before the rest is understood.
    match version(hello) {
        Some(version) if version != u64::from(WIRE_VERSION) => return Err(Refusal::Version(version)),
        _ => {}
    }
    let hello = Hello::decode(hello).map_err(|e| Refusal::Hello(e.to_string()))?;
    if hello.node != *proved {
        return Err(Refusal::Name { said: hello.node, proved: proved.clone() });
    }
    if hello.node == own.node {
        return Err(Refusal::Own(hello.node));
    }
    if hello.cluster != own.cluster {
        let theirs = crate::refusal::cut(&hello.cluster);
        return Err(Refusal::Cluster { ours: own.cluster.clone(), theirs });
    }
    Ok(hello)
}

/// More urgent lanes go first.
pub(crate) fn priority(lane: Lane) -> i32 {
    Lane::ALL.len() as i32 - lane as i32
}

/// The leading number of a postcard encoding: seven bits a byte, lowest first.
fn version(hello: &[u8]) -> Option<u64> {
    let mut value = 0;
    for (place, byte) in hello.iter().take(3).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use playhouse_wire::Incarnation;

    fn hello(node: &str, cluster: &str, version: u16) -> Hello {
        Hello { version, cluster: cluster.into(), node: node.parse().unwrap(), incarnation: Incarnation(1) }
    }

    #[test]
    fn a_hello_is_believed_as_far_as_the_certificate_goes() {
        let own = hello("a", "demo", WIRE_VERSION);
        let look = |said: &Hello, proved: &str| check(&own, &proved.parse().unwrap(), &said.encode().unwrap());
        let good = hello("b", "demo", WIRE_VERSION);
        assert_eq!(look(&good, "b"), Ok(good.clone()));
        assert!(matches!(look(&good, "c"), Err(Refusal::Name { .. })));
        assert!(matches!(look(&own, "a"), Err(Refusal::Own(_))));
        assert!(matches!(look(&hello("b", "other", WIRE_VERSION), "b"), Err(Refusal::Cluster { .. })));
        assert_eq!(look(&hello("b", "demo", 700), "b"), Err(Refusal::Version(700)));
        // A version whose hello has more in it than ours.
        let mut longer = hello("b", "demo", 2).encode().unwrap();
        longer.push(9);
        assert_eq!(check(&own, &"b".parse().unwrap(), &longer), Err(Refusal::Version(2)));
    }
}
