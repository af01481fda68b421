//! Everything that a service needs, in a directory that is taken away again.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cvv2_keyring::secret_file;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use crate::Failure;
use crate::child::Server;
use crate::cores::Cores;
use crate::options::Sizes;
use crate::{cards, keys};

/// The clients. One may ask a million times in a minute; the peak may be above that.
pub(crate) const CLIENTS: [&str; 4] = ["load-0", "load-1", "load-2", "load-3"];

/// Where the service listens is said by a variable.
const SERVE: &str = r#"
[serve]
listen = "127.0.0.1:1"
workers = 1
service_key = "keyring/service.key"

[serve.tls]
certificate = "tls/certificate.pem"
key = "tls/key.pem"

[serve.auth.own]
clients = "auth/clients.toml"
signing_keys = "auth/signing-keys"
issuer = "https://localhost"

[serve.limits]
directory = "limits"

[serve.limits.policy]
caller_requests_per_minute = 1_000_000
card_generates_per_day = 1000
card_requests_per_day = 1000
card_charges_max = 100_000_000

[serve.audit]
directory = "audit"
"#;

pub(crate) struct Home {
    /// Takes the directory away.
    _parent: TempDir,
    path: PathBuf,
    cvv2: PathBuf,
    /// By client, each in the order of [`CLIENTS`].
    pub(crate) secrets: Vec<String>,
}

impl Home {
    /// Has `cvv2` make what an operator would have it make.
    pub(crate) fn prepare(sizes: &Sizes, cvv2: &Path) -> Result<Self, Failure> {
        let parent = tempfile::Builder::new().prefix("cvv2-load-").tempdir()?;
        // Keyring, KBPK, store and configuration are those of the demo, with more in them.
        run(Command::new(cvv2).args(["demo", "--keep"]).env("TMPDIR", parent.path()))?;
        let entry = fs::read_dir(parent.path())?.next().ok_or("the demo has left nothing")?;
        let path = entry?.path();
        let mut home = Self { _parent: parent, path, cvv2: cvv2.to_owned(), secrets: Vec::new() };
        home.append_configuration()?;
        keys::add(&home.path.join("keyring/keyring.toml"), &home.path.join("kbpk"), sizes.keys)?;
        home.certificate()?;
        home.cvv2(&["serve", "init-key", "keyring/service.key", "--config", "cvv2.toml"])?;
        home.clients()?;

        let csv = home.path.join("cards.csv");
        cards::write_csv(&csv, sizes.cards, sizes.keys)?;
        home.cvv2(&["cards", "import", "cards.csv", "--config", "cvv2.toml"])?;
        fs::remove_file(csv)?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.path.join("tls/certificate.pem")
    }

    /// Starts the service.
    pub(crate) fn serve(&self, cores: Cores) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut command = Command::new(&self.cvv2);
        command
            .args(["serve", "--config", "cvv2.toml"])
            .current_dir(&self.path)
            .env("CVV2__SERVE__LISTEN", address.to_string())
            .stderr(Stdio::from(log(&self.path.join("serve.log"))?));
        Server::spawn(command, address, cores)
    }

    /// Starts the handler that echoes.
    pub(crate) fn echo(&self, cores: Cores) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").arg("--home").arg(&self.path).args(["--listen", &address.to_string()]);
        Server::spawn(command, address, cores)
    }

    fn append_configuration(&self) -> Result<(), Failure> {
        let mut file = OpenOptions::new().append(true).open(self.path.join("cvv2.toml"))?;
        Ok(file.write_all(SERVE.as_bytes())?)
    }

    fn certificate(&self) -> Result<(), Failure> {
        DirBuilder::new().mode(0o700).create(self.path.join("tls"))?;
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(self.certificate_path(), cert.pem())?;
        secret_file::create(&self.path.join("tls/key.pem"), &signing_key.serialize_pem())?;
        Ok(())
    }

    fn clients(&mut self) -> Result<(), Failure> {
        for folder in ["auth", "auth/signing-keys"] {
            DirBuilder::new().mode(0o700).create(self.path.join(folder))?;
        }
        self.cvv2(&["client", "signing-key", "auth/signing-keys"])?;
        for client in CLIENTS {
            let added = self.cvv2(&[
                "client",
                "add",
                "auth/clients.toml",
                "--id",
                client,
                "--scope",
                "cvv2:generate",
                "--bank",
                cards::BANK,
                "--token-lifetime",
                "86400",
            ])?;
            self.secrets.push(added.trim().to_owned());
        }
        Ok(())
    }

    /// Runs `cvv2` in the home. Returns its standard output.
    fn cvv2(&self, words: &[&str]) -> Result<String, Failure> {
        run(Command::new(&self.cvv2).args(words).current_dir(&self.path))
    }
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn log(path: &Path) -> std::io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// An address that nobody has at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
