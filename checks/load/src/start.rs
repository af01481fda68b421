//! How long a service takes until it is ready.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::child::Server;
use crate::connection::{Connection, connector};
use crate::home::Home;

/// Longer is taken for never.
const PATIENCE: Duration = Duration::from_mins(1);

/// The time from `exec` to the first 200 of `/readyz`, and the server.
pub(crate) fn until_ready(
    home: &Home,
    spawn: impl FnOnce(&Home) -> Result<Server, Failure>,
) -> Result<(Server, Duration), Failure> {
    let tls = connector(&home.certificate_path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut server = spawn(home)?;
    let is_ready = async |address| {
        let mut connection = Connection::open(address, &tls).await?;
        let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
        Ok::<_, Failure>(connection.ask(request).await?.status == 200)
    };
    let begun = Instant::now();
    loop {
        server.check()?;
        // Refused until it listens.
        if let Ok(true) = runtime.block_on(is_ready(server.address)) {
            let taken = server.begun.elapsed();
            return Ok((server, taken));
        }
        if begun.elapsed() > PATIENCE {
            return Err("a server has not become ready".into());
        }
        sleep(Duration::from_millis(2));
    }
}
