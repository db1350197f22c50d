//! The two ends of a lane: a writer that empties its queue, and a reader that feeds the receiver.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};
use playhouse_wire::{Frames, Lane};
use quinn::{Connection, ReadError, RecvStream, SendStream};

use crate::hello;
use crate::limits::{BATCH_MAX, READ_PIECES};
use crate::peer::{Link, Peer, Receiver};
use crate::refusal::Refusal;
use crate::signal::yield_now;

/// Writes what is queued until the queue is closed and empty and the peer has confirmed all of it, or until the connection ends.
///
/// The lane's stream is opened with its first message; the system lane's is open since the hello.
pub(crate) async fn write(link: Arc<Link>, connection: Connection, lane: Lane, mut stream: Option<SendStream>) {
    while let Some(mut batch) = link.queue(lane).take().await {
        let stream = match &mut stream {
            Some(stream) => stream,
            None => {
                let Ok(opened) = connection.open_uni().await else { return };
                // Fails only on a stream that is finished; this one is new.
                let _ = opened.set_priority(hello::priority(lane));
                batch.pieces.insert(0, Bytes::from(vec![lane as u8]));
                stream.insert(opened)
            }
        };
        if let Err(error) = stream.write_all_chunks(&mut batch.pieces).await {
            // A lost connection is known to whoever keeps it; a peer that stops reading a lane breaks the rules.
            if !matches!(error, quinn::WriteError::ConnectionLost(_)) {
                link.refuse(&Refusal::Cut(lane));
            }
            return;
        }
        link.counters.sent(lane, batch.messages);
    }
    if let Some(mut stream) = stream
        && stream.finish().is_ok()
    {
        // Whether it arrived or the connection ended: there is nothing more to do.
        let _ = stream.stopped().await;
    }
}

/// Reads a lane that the peer has opened, whose first byte says which one it is.
pub(crate) async fn read_new(link: Arc<Link>, receiver: Arc<dyn Receiver>, mut stream: RecvStream) {
    let mut first = [0];
    match stream.read_exact(&mut first).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::ReadError(ReadError::ConnectionLost(_))) => return,
        // A stream without a single byte says nothing, and nothing of it can be believed.
        Err(_) => return link.refuse(&Refusal::Silent),
    }
    let Some(&lane) = Lane::ALL.get(usize::from(first[0])) else { return link.refuse(&Refusal::NoLane(first[0])) };
    let bit = 1 << lane as u8;
    if link.opened.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return link.refuse(&Refusal::Twice(lane));
    }
    read(link, receiver, lane, stream, Frames::new(lane.message_max())).await;
}

/// Reads a lane until it or the connection ends; ends the connection when the peer breaks the rules.
pub(crate) async fn read(link: Arc<Link>, receiver: Arc<dyn Receiver>, lane: Lane, stream: RecvStream, frames: Frames) {
    let guard = PanicGuard { link: &link, lane };
    if let Err(refusal) = read_frames(&link, &*receiver, lane, stream, frames).await {
        link.refuse(&refusal);
    }
    drop(guard);
}

async fn read_frames(
    link: &Arc<Link>,
    receiver: &dyn Receiver,
    lane: Lane,
    mut stream: RecvStream,
    mut frames: Frames,
) -> Result<(), Refusal> {
    let peer = Peer(link.clone());
    let deliver = async |batch: Vec<Bytes>| {
        link.counters.received(lane, batch.len() as u64);
        receiver.messages(&peer, lane, batch).await;
    };
    let mut pieces = [const { Bytes::new() }; READ_PIECES];
    let mut count = 0;
    loop {
        let mut batch = Vec::new();
        // What came behind the hello in the same piece is in `frames` before anything is read here.
        for piece in std::iter::once(Bytes::new()).chain(pieces[..count].iter_mut().map(std::mem::take)) {
            if piece.has_remaining() {
                frames.push(piece);
            }
            loop {
                match frames.next_message() {
                    Ok(Some(message)) => batch.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        // What stood before the broken frame was said in order and is heard.
                        if !batch.is_empty() {
                            deliver(batch).await;
                        }
                        return Err(Refusal::Frames { lane, error });
                    }
                }
                if batch.len() == BATCH_MAX {
                    deliver(std::mem::take(&mut batch)).await;
                }
            }
        }
        if !batch.is_empty() {
            deliver(batch).await;
        }
        count = match stream.read_chunks(&mut pieces).await {
            Ok(Some(count)) => count,
            Ok(None) if frames.is_between_messages() => return Ok(()),
            Err(ReadError::ConnectionLost(_)) => return Ok(()),
            Ok(None) | Err(_) => return Err(Refusal::Cut(lane)),
        };
        if count == READ_PIECES {
            // There is more than fits: a lane that never runs dry would keep the thread from the readers of the others.
            yield_now().await;
        }
    }
}

/// A lane whose receiver panics is read no more, so its connection must not live on as if it were.
struct PanicGuard<'a> {
    link: &'a Link,
    lane: Lane,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.link.refuse(&Refusal::Panicked(self.lane));
        }
    }
}
