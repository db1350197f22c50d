//! The secrets of TLS connections, for whoever reads the captured datagrams of a simulated run.
//!
//! **Dangerous by nature**: with them, all that a connection carries can be read. So in production there is nothing here: no
//! configuration and no environment can make a node give them away, as the code that would is not compiled. In a simulation they are
//! wanted only while a capture is open ([`crate::sim::capture`]), and what they protect is made up.

/// Whether somebody wants them. In production: never.
#[inline(always)]
pub fn wanted() -> bool {
    #[cfg(madsim)]
    return crate::sim::capture::is_open();
    #[cfg(not(madsim))]
    false
}

/// Gives a secret away, with its name and the random value of the connection's first message: the parts of a line of the NSS key log
/// format. In production it is dropped.
#[inline(always)]
pub fn tell(label: &str, client_random: &[u8], secret: &[u8]) {
    #[cfg(madsim)]
    crate::sim::capture::secret(label, client_random, secret);
    #[cfg(not(madsim))]
    let _ = (label, client_random, secret);
}
