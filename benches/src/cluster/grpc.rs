//! As much of gRPC as two calls of etcd need: a message of protocol buffers there and one back, over HTTP/2.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;

/// One connection. Clones are the same.
#[derive(Clone)]
pub(super) struct Channel {
    address: SocketAddr,
    send: SendRequest<Bytes>,
}

impl Channel {
    pub(super) async fn open(address: SocketAddr) -> Result<Channel, String> {
        let socket = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let (send, connection) = h2::client::handshake(socket).await.map_err(|error| error.to_string())?;
        // Ends with its connection.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Channel { address, send })
    }

    /// # Errors
    /// What went wrong on the way, or what the other side says.
    pub(super) async fn call(&self, path: &str, message: &[u8]) -> Result<Bytes, String> {
        let fault = |error: h2::Error| error.to_string();
        let mut send = self.send.clone().ready().await.map_err(fault)?;
        let request = http::Request::post(format!("http://{}{path}", self.address));
        let request = request.header("content-type", "application/grpc").header("te", "trailers").body(());
        let (response, mut stream) = send.send_request(request.map_err(|error| error.to_string())?, false).map_err(fault)?;
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_u8(0);
        body.put_u32(message.len() as u32);
        body.put_slice(message);
        stream.send_data(body.freeze(), true).map_err(fault)?;
        let response = response.await.map_err(fault)?;
        let early = response.headers().get("grpc-status").cloned();
        let (mut body, mut answer) = (response.into_body(), BytesMut::new());
        while let Some(part) = body.data().await {
            let part = part.map_err(fault)?;
            let _ = body.flow_control().release_capacity(part.len());
            answer.put(part);
        }
        let trailers = body.trailers().await.map_err(fault)?.unwrap_or_default();
        let status = early.as_ref().or_else(|| trailers.get("grpc-status"));
        match status.map(|status| status.as_bytes()) {
            Some(b"0") if answer.len() >= 5 => Ok(answer.freeze().slice(5..)),
            _ => Err(format!("{path}: {status:?} {:?}", trailers.get("grpc-message"))),
        }
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field that holds bytes, or a message.
pub(super) fn bytes(field: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// The fields of a message: numbers, and bytes.
pub(super) fn fields(mut message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn number(message: &mut &[u8]) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (first, rest) = message.split_first()?;
            *message = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 || shift > 56 {
                return Some(number);
            }
            shift += 7;
        }
    }
    let mut found = Vec::new();
    while let Some(tag) = number(&mut message) {
        let Some(value) = number(&mut message) else { break };
        match tag & 7 {
            0 => found.push((tag >> 3, value, &[][..])),
            2 if value as usize <= message.len() => {
                let (bytes, rest) = message.split_at(value as usize);
                message = rest;
                found.push((tag >> 3, 0, bytes));
            }
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = Vec::new();
        bytes(1, &[7; 300], &mut message);
        message.extend([2 << 3, 0xac, 0x02]);
        assert_eq!(fields(&message), [(1, 0, &[7; 300][..]), (2, 300, &[])]);
        assert_eq!(fields(&message[..40]), []);
    }
}
