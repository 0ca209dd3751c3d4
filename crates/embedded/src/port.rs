//! Ports for servers that are told theirs, and that must find it free again after a crash.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::Error;

/// Below the ports that systems hand to outgoing connections (32768 and up on Linux, 49152 elsewhere): between a crash
/// and the restart on the same port no client's connection can take it.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;
const TRIES: usize = 100;

/// A port of 127.0.0.1 that nothing listens on now. Another process may take it first: start again with a new one then.
pub(crate) fn free() -> Result<u16, Error> {
    (0..TRIES)
        .map(|_| {
            let random = RandomState::new().build_hasher().finish() % u64::from(COUNT);
            FIRST + u16::try_from(random).unwrap_or_default()
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(Error::NoPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_outside_the_range_of_outgoing_connections() {
        let port = free().unwrap();
        assert!((FIRST..FIRST + COUNT).contains(&port));
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
