//! `cvv2 serve probe`: whether the service that runs answers, for supervisors that ask by a command.
//!
//! It asks the listener of the metrics, which is in clear: no certificate has to be trusted for that,
//! and an image without a shell needs no other client.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::args::ProbeArgs;
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// How long the service may take for each step.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most that is read of an answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 4096;

pub(super) fn run(args: &ProbeArgs, print: Print) -> Result<Answer, Failure> {
    let address = Config::read(&args.config)?.serve()?.metrics_listen.ok_or_else(|| {
        Failure::bad_input("[serve] metrics_listen: a probe asks there; give it an address")
    })?;
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let (answers, text) = match ask(reachable(address), path) {
        Ok(true) => (true, "the service answers".to_owned()),
        Ok(false) => (false, format!("the service refuses at {path}")),
        Err(error) => (false, format!("{address}: {error}")),
    };
    print.answer(&text, &json!({ "answers": answers }))?;
    Ok(if answers { Answer::Done } else { Answer::Negative })
}

/// Whether the answer has the status 200.
fn ask(address: SocketAddr, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

/// Who listens at every address is asked at the loopback address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_means_the_loopback_one() {
        let of = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:9443"), "127.0.0.1:9443");
        assert_eq!(of("[::]:9443"), "[::1]:9443");
        assert_eq!(of("10.0.0.1:9443"), "10.0.0.1:9443");
    }
}
