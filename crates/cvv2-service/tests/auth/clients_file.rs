//! The file of clients: read as a whole or not at all, and changed where it has to be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cvv2_service::Scope;
use cvv2_service::auth::{Clients, ClientsDraft, ClientsError};

use crate::setup::{client, private, secret, write_clients};

const CANARY: &str = "0A1B2C3D4E5F60718293A4B5C6D7E8F9";

fn entry(more: &str) -> String {
    format!(
        "format = 1\n[[client]]\nid = \"acme\"\nsecrets = [\"{}\"]\nscopes = [\"cvv2:generate\"]\n\
         banks = [\"IBTF\"]\n{more}\n",
        secret().1.to_phc()
    )
}

#[test]
fn what_is_wrong_is_told_by_its_place_and_never_shown() {
    let good = entry("");
    Clients::parse(&good).unwrap();
    Clients::parse("format = 1").unwrap();
    let hash = secret().1.to_phc();
    for (text, place) in [
        (String::new(), "line 1, column 1: not understood"),
        (format!("format = 1\n{CANARY}"), "line 2, column "),
        (format!("format = 1\n{CANARY} = 1"), "line 2, column 1: not understood"),
        ("format = 2".to_owned(), "line 1, column 10: `format`"),
        (good.replace("\"acme\"", &format!("\"{CANARY}\"")), "line 3, column 6: `id`"),
        (good.replace(&hash, CANARY), "line 4, column 12: `secrets`: no hash"),
        (good.replace("m=19456", "m=4096"), "line 4, column 12: `secrets`: a hash of another"),
        (good.replace("[\"$", "[\"$x"), "line 4, column 12: `secrets`: a hash of another"),
        (good.replace("cvv2:generate", CANARY), "line 5, column 11: `scopes`"),
        (good.replace("IBTF", CANARY), "line 6, column 10: `banks`"),
        (good.replace("[\"IBTF\"]", "[]"), "line 6, column 9: empty"),
        (good.replace("\"IBTF\"", "\"IBTF\", \"IBTF\""), "line 6, column 18: there is another"),
        (entry(&format!("certificates = [\"{CANARY}\"]")), "line 7, column 17: `certificates`"),
        (entry("token_lifetime_seconds = 59"), "line 7, column 26: `token_lifetime_seconds`"),
        (entry("token_lifetime_seconds = 86401"), "line 7, column 26: `token_lifetime_seconds`"),
        (entry("disabled = 1"), "line 7, column 12: not understood"),
        (entry(&format!("key = \"{CANARY}\"")), "line 7, column 1: not understood"),
        (good.replace("banks", "bank"), "line 6, column 1: not understood"),
        (format!("{good}{}", &good[11..]), "line 9, column 6: there is another"),
    ] {
        let why = Clients::parse(&text).unwrap_err().to_string();
        assert!(why.starts_with(place), "{text}\n{why}");
        for part in [CANARY, &CANARY[..8], &hash[40..]] {
            assert!(!why.contains(part), "{why}");
        }
    }
    let banks: Vec<_> = (0..101).map(|number| format!("\"{number}\"")).collect();
    let many = good.replace("\"IBTF\"", &banks.join(","));
    assert!(Clients::parse(&many).unwrap_err().to_string().contains("more than 100"));
    let three = format!("{hash}\", \"{hash}\", \"{hash}");
    assert!(
        Clients::parse(&good.replace(&hash, &three))
            .unwrap_err()
            .to_string()
            .contains("more than 2")
    );
    let other = cvv2_service::auth::ClientSecret::generate().unwrap();
    let other = cvv2_service::auth::SecretHash::of(&other).unwrap().to_phc();
    let two = good.replace(&hash, &format!("{hash}\", \"{other}"));
    assert!(Clients::parse(&two).unwrap_err().to_string().contains("not the salt"));
}

#[test]
fn a_file_that_others_may_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    private(&path, &entry(""));
    assert_eq!(Clients::read(&path).unwrap().len(), 1);
    for mode in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Clients::read(&path), Err(ClientsError::File(_))), "{mode:o}");
        assert!(matches!(ClientsDraft::open(&path), Err(ClientsError::File(_))), "{mode:o}");
    }
}

#[test]
fn a_change_leaves_everything_else_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    write_clients(&path, vec![client("first", &[Scope::Generate], &["IBTF"])]);
    let text = fs::read_to_string(&path).unwrap();
    let written = format!(
        "{text}\n# The second,\n# which goes.\n[[client]]\nid = \"second\" # its name\nsecrets = [\n  \"{}\",\n] \
         # its hash\nscopes = [\"cvv2:verify\"]\nbanks = [\n  \"NIC\",\n] # its bank\n\n# The third, which stays.\n\
         [[client]]\nid = \"third\"\nsecrets = [\"{}\"]\nscopes = [\"cvv2:verify\"]\nbanks = [\"NIC\"]\n# the end\n",
        secret().1.to_phc(),
        secret().1.to_phc()
    );
    private(&path, &written);
    let change = |change: &dyn Fn(&mut ClientsDraft) -> Result<(), ClientsError>| {
        let mut draft = ClientsDraft::open(&path).unwrap();
        change(&mut draft).unwrap();
        draft.commit().unwrap();
        fs::read_to_string(&path).unwrap()
    };
    let disabled = change(&|draft| draft.set_disabled("second", true));
    assert_eq!(disabled, written.replace("# its name\n", "# its name\ndisabled = true\n"));
    let enabled = change(&|draft| draft.set_disabled("second", false));
    assert_eq!(enabled, disabled.replace("disabled = true", "disabled = false"));
    let removed = change(&|draft| draft.remove("second"));
    let (before, rest) = written.split_once("\n# The second,").unwrap();
    let (_, after) = rest.split_once("# its bank\n").unwrap();
    assert_eq!(removed, format!("{before}{after}"));
    let third = change(&|draft| draft.remove("first"));
    assert!(third.contains("# The third, which stays.") && !third.contains("first"), "{third}");
    let none = change(&|draft| draft.remove("third"));
    assert!(Clients::parse(&none).unwrap().is_empty() && none.contains("# the end"), "{none}");
    assert!(folder.path().join("clients.toml.previous").exists());
}

#[test]
fn a_change_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    write_clients(&path, vec![client("first", &[Scope::Generate], &["IBTF"])]);
    assert!(matches!(ClientsDraft::create(&path), Err(ClientsError::File(_))));
    let mut draft = ClientsDraft::open(&path).unwrap();
    assert!(ClientsDraft::open(&path).unwrap_err().to_string().contains("another process"));
    let again = draft.add(client("first", &[Scope::Verify], &["NIC"]));
    assert!(matches!(again, Err(ClientsError::SuchAClient)));
    assert!(matches!(draft.add(client("empty", &[], &["NIC"])), Err(ClientsError::Text { .. })));
    assert!(matches!(draft.remove("other"), Err(ClientsError::NoSuchClient)));
    assert!(matches!(draft.drop_older_secret("first"), Err(ClientsError::NotRotating)));
    let next = cvv2_service::auth::ClientSecret::generate().unwrap();
    draft.add_secret("first", |first| first.of_successor(&next)).unwrap();
    let third = draft.add_secret("first", |first| first.of_successor(&next));
    assert!(matches!(third, Err(ClientsError::Rotating)));
}
