//! Who may know the secrets of TLS: in production nobody, in a simulation whoever captures it.

use std::sync::Arc;

/// Gives the secrets of connections away where [`playhouse_rt::secrets::wanted`] says so. That is a constant in production: rustls asks it
/// first, so no secret leaves it there, whatever the configuration and the environment say.
#[derive(Debug)]
struct KeyLog;

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        playhouse_rt::secrets::tell(label, client_random, secret);
    }

    fn will_log(&self, _label: &str) -> bool {
        playhouse_rt::secrets::wanted()
    }
}

/// For both sides of a handshake.
pub(crate) fn keylog() -> Arc<dyn rustls::KeyLog> {
    Arc::new(KeyLog)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_wanted_when_nothing_is_captured() {
        assert!(!keylog().will_log("CLIENT_TRAFFIC_SECRET_0"));
    }
}
