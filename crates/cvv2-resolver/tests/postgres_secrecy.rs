//! What PostgreSQL and the network between get to see: nothing readable.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, Exid, ExidForm,
    ImportOptions, ImportWatcher, Plastic, PostgresOptions, PostgresPassword, PostgresPool,
    PostgresServer, PostgresStore, RefusedRow, StoreError, StoreKeys,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

mod canaries;
mod postgres_server;

use canaries::{forms, is_in};
use postgres_server::Server;

const EXID: &str = "99984100148297467162";
const NUMBER: &str = "7730146829746";
const PAN: &str = "4929418820375561";
const IMPORTED_PAN: &str = "5500005555555559";
/// Of a row that is refused.
const REFUSED_PAN: &str = "4716258050958645";

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, _: &RefusedRow<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn nothing_readable_is_in_the_servers_files_and_the_search_finds_what_is() {
    // The log too, with every statement and every value.
    let server = Server::start("-c log_statement=all -c log_min_duration_statement=0");
    let mut keys = StoreKeys::generate().unwrap();
    let options = server.options();
    drop(PostgresStore::create(&options, &keys).unwrap());
    let second = keys.add_sealing().unwrap();
    let store = PostgresStore::open(&options, &keys).unwrap();
    let bank = BankId::parse("IBTF").unwrap();
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    let card =
        CardRecord::new(Pan::parse(PAN).unwrap(), CardStatus::Active, vec![plastic]).unwrap();
    let number = |text| CardRef::from(ContractNumber::parse(text).unwrap());
    let refs = [Exid::parse(EXID, ExidForm::Strict).unwrap().into(), number(NUMBER), number(PAN)];
    // Rows that were replaced stay for a while, and in the log of changes.
    (0..5).for_each(|_| store.put(&bank, &refs, &card).unwrap());
    let file = format!(
        "bank,contract_number,pan,expiry\n\
         IBTF,Z1,{IMPORTED_PAN},2701\n\
         IBTF,{NUMBER},{REFUSED_PAN},2701\n\
         IBTF,{REFUSED_PAN},{REFUSED_PAN}0000,2701\n"
    );
    let summary =
        store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut NobodyCares).unwrap();
    assert_eq!((summary.added, summary.refused), (1, 2));
    store.begin_rotation(second).unwrap();
    assert!(std::iter::repeat_with(|| store.reseal(2).unwrap()).any(|resealed| resealed.is_all()));
    assert_eq!(store.resolve(&bank, &refs[1]).unwrap(), Some(card));

    let run = |statements: &str| {
        store.pool().with(|client| client.batch_execute(statements)).unwrap();
    };
    run("CHECKPOINT");
    let canaries: Vec<_> = [PAN, IMPORTED_PAN, REFUSED_PAN, EXID, NUMBER]
        .iter()
        .flat_map(|canary| forms(canary))
        .collect();
    let files = files_below(server.directory());
    for (form, needle) in &canaries {
        assert!(!files.iter().any(|(_, bytes)| is_in(bytes, needle)), "{form} of a canary");
    }
    drop(files);
    // The same search, with each form planted in a table.
    run("CREATE TABLE planted (needle bytea)");
    for (_, needle) in &canaries {
        run(&format!("INSERT INTO planted VALUES ('\\x{}')", hex::encode(needle)));
    }
    run("CHECKPOINT");
    let files = files_below(server.directory());
    for (form, needle) in &canaries {
        for place in ["data/base", "data/pg_wal"] {
            let planted = files.iter().filter(|(path, _)| path.contains(place));
            assert!(planted.map(|(_, bytes)| bytes).any(|b| is_in(b, needle)), "{form} in {place}");
        }
    }
}

/// All files in a directory and those below it.
fn files_below(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.is_file() {
                // The server may take a file away at any time.
                let Ok(bytes) = fs::read(&path) else { continue };
                let path = path.display().to_string();
                let bytes =
                    if path.contains("/pg_wal/") { without_page_heads(&bytes) } else { bytes };
                files.push((path, bytes));
            }
        }
    }
    assert!(files.len() > 100, "a server has many files");
    files
}

/// A file of the server's log as one run of records: the head of a page may stand in the middle of
/// one, and of what is searched for.
fn without_page_heads(log: &[u8]) -> Vec<u8> {
    let (first, other) = (40, 24); // XLogLongPageHeaderData, XLogPageHeaderData
    let pages = log.chunks(8192).enumerate();
    let heads = pages.map(|(at, page)| (if at == 0 { first } else { other }, page));
    heads.flat_map(|(head, page)| page.get(head..).unwrap_or_default()).copied().collect()
}

/// A port that nobody has, a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An issuer of certificates that nobody else has.
fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn tls_is_spoken_with_the_server_that_the_certificate_names_and_no_other() {
    let port = free_port();
    let server = Server::prepare(&format!(
        "-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c ssl=on \
         -c ssl_cert_file=../server.crt -c ssl_key_file=../server.key"
    ));
    let issuer = issuer();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    server.write("server.crt", &certificate.pem());
    server.write("server.key", &key.serialize_pem());
    let roots = server.write("roots.pem", &issuer.pem());
    let other_roots = server.write("other.pem", &self::issuer().pem());
    // A role with a password, by TLS only.
    let hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(server.data().join("pg_hba.conf"), hba).unwrap();
    server.start_again();
    let by_socket = PostgresServer::Socket { directory: server.directory().to_owned(), port };
    let mut local = PostgresOptions::new(by_socket, "postgres", "cvv2");
    local.allow_lost_commits = true;
    let pool = PostgresPool::open(&local).unwrap();
    pool.with(|client| client.batch_execute("ALTER ROLE cvv2 PASSWORD 'right'")).unwrap();

    let by_tls = |host: &str, roots: &Path, password: &str| {
        let server = PostgresServer::Tls { host: host.to_owned(), port, roots: roots.to_owned() };
        let mut options = PostgresOptions::new(server, "postgres", "cvv2");
        options.password = Some(PostgresPassword::new(password.to_owned()));
        options.allow_lost_commits = true;
        PostgresPool::open(&options)
    };
    let pool = by_tls("localhost", &roots, "right").unwrap();
    let query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = pool.with(|client| client.query_one(query, &[])).unwrap();
    assert_eq!(row.get::<_, &str>(0), "TLSv1.3");

    let refusal = |result: Result<PostgresPool, StoreError>| result.unwrap_err().to_string();
    let error = refusal(by_tls("localhost", &roots, "wrong"));
    assert!(error.contains("28P01") && !error.contains("wrong"), "{error}");
    let error = refusal(by_tls("localhost", &other_roots, "right"));
    assert!(error.contains("invalid peer certificate"), "{error}");
    let error = refusal(by_tls("127.0.0.1", &roots, "right"));
    assert!(error.contains("certificate"), "another name than the certificate's: {error}");
    let error = refusal(by_tls("localhost", &server.directory().join("none"), "right"));
    assert!(error.contains("`roots`"), "{error}");
    // Without TLS it is not let in.
    let plain = PostgresServer::Plain { host: "127.0.0.1".to_owned(), port };
    let mut options = PostgresOptions::new(plain, "postgres", "cvv2");
    options.password = Some(PostgresPassword::new("right".to_owned()));
    let error = refusal(PostgresPool::open(&options));
    assert!(error.contains("28000"), "{error}");
}
