//! Tells systemd that the service is ready or stops (`Type=notify`).

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends states, one `NAME=value` a line, to whoever has started the service and wants to know.
///
/// Where nobody does, nothing is done; a failure is nobody's business but systemd's, which has a
/// time-out for it.
pub(super) fn notify(states: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let socket = UnixDatagram::unbound();
    if let (Ok(socket), Ok(address)) = (socket, address) {
        let _ = socket.send_to_addr(states.as_bytes(), &address);
    }
}
