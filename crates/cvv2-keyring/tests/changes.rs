//! Changes of a keyring's file: what they write, what they leave, what they refuse.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cvv2::key::{Exportability, KeyBlockVersion};
use cvv2::key::{KeyBlockHeader, ModeOfUse};
use cvv2_keyring::{
    ChangeError, Draft, FileError, FileFault, KeyEntry, Keyring, KeyringError, LoadCause, Month,
    State, Successor,
};
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use support::{bins, block, day, entry, kbpk, kcv, token};
use tempfile::TempDir;

/// A folder with a keyring `keyring.toml` of this text.
fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn with_keys(entries: &[KeyEntry]) -> (TempDir, PathBuf) {
    folder(&support::text(entries, &kbpk()))
}

fn key(name: &str, number: u32) -> KeyEntry {
    entry(name, number, &kbpk())
}

fn successor(name: &str, number: u32) -> Successor {
    Successor {
        name: token(name),
        from: day(100),
        cards_expiring_from: None,
        kcv: kcv(number),
        block: block(number, ModeOfUse::GenerateAndVerify, &kbpk()),
    }
}

/// Makes one change and commits it.
fn change(
    path: &Path,
    change: impl FnOnce(&mut Draft<'_>) -> Result<(), KeyringError>,
) -> Result<Keyring, KeyringError> {
    let kbpk = kbpk();
    let mut draft = Draft::open(path, &kbpk)?;
    change(&mut draft)?;
    draft.commit()
}

fn fault(result: Result<impl Sized, KeyringError>) -> FileFault {
    match result {
        Err(KeyringError::File(FileError { fault, .. })) => fault,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("done"),
    }
}

/// The names in a folder, sorted, but for that of the lock.
fn names(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> =
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".keyring.lock");
    names.sort();
    names
}

/// Writes a file as an editor does, that saves in place.
fn edit(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn a_life_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let kbpk = kbpk();
    Keyring::create(&path, &kbpk).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(Keyring::read(&path, &kbpk).unwrap().list().len(), 0);

    let first = KeyEntry { state: State::Pending, ..key("first", 0) };
    change(&path, |draft| draft.import(first.clone())).unwrap();
    change(&path, |draft| draft.set_state("first", State::Active)).unwrap();
    let second =
        Successor { cards_expiring_from: Month::parse("2029-01"), ..successor("second", 1) };
    change(&path, |draft| draft.rotate("first", second)).unwrap();
    change(&path, |draft| draft.set_until("first", day(300))).unwrap();
    change(&path, |draft| draft.set_until("first", day(400))).unwrap();
    let keyring = change(&path, |draft| draft.set_state("first", State::VerifyOnly)).unwrap();

    let first = KeyEntry { state: State::VerifyOnly, until: Some(day(400)), ..first };
    let second = KeyEntry {
        from: day(100),
        cards_expiring_from: Month::parse("2029-01"),
        predecessor: Some(token("first")),
        ..key("second", 1)
    };
    assert!(keyring.list().eq([&first, &second]));
    assert!(Keyring::read(&path, &kbpk).unwrap().list().eq([&first, &second]));
    assert_eq!(names(&folder), ["keyring.toml", "keyring.toml.previous"]);

    let refused = change(&path, |draft| draft.remove("first")).unwrap_err().to_string();
    assert_eq!(refused, "a key in state verify-only is not removed; retire it first");
    change(&path, |draft| draft.set_state("first", State::Retired)).unwrap();
    let refused = change(&path, |draft| draft.remove("first")).unwrap_err();
    let KeyringError::Refused { error, .. } = refused else { panic!("{refused}") };
    assert_eq!(error.cause, LoadCause::UnknownPredecessor);
}

#[test]
fn several_changes_are_one() {
    let (folder, path) = with_keys(&[key("a", 0)]);
    let before = fs::read_to_string(&path).unwrap();
    let keyring = change(&path, |draft| {
        draft.rotate("a", successor("b", 1))?;
        draft.set_until("a", day(400))?;
        assert_eq!(draft.entries().len(), 2);
        draft.set_until("b", day(500))
    })
    .unwrap();
    assert_eq!(keyring.get("b").unwrap().until, Some(day(500)));
    assert_eq!(fs::read_to_string(folder.path().join("keyring.toml.previous")).unwrap(), before);
}

/// Comments, order and spacing are people's.
#[test]
fn a_change_leaves_the_rest_of_the_text_alone() {
    let kbpk = kbpk();
    let table = |name, number| {
        let text = support::text(&[entry(name, number, &kbpk)], &kbpk);
        text[text.find("name").unwrap()..].to_owned()
    };
    let (a, b) = (table("a", 0), table("b", 1).replace("412345", "512345"));
    let head = format!("# ours\nformat=1\n\n kbpk_kcv  = '{}' # drawer 7\n", kbpk.kcv());
    let a = a.replace("'active'", "'active'   # since the audit");
    let b = b.replace("from = 2026-01-01", "from = 2026-01-01 # launch");
    let whole = format!(
        "{head}\n# the old one\n# of 2026\n[[key]]   # one\n{a}\n# next\n[[key]]\n{b}# end"
    );
    let (_folder, path) = folder(&whole);
    let now = || fs::read_to_string(&path).unwrap();

    change(&path, |draft| draft.set_state("a", State::VerifyOnly)).unwrap();
    let whole = whole.replacen("'active'   # since", "\"verify-only\"   # since", 1);
    assert_eq!(now(), whole);

    change(&path, |draft| draft.set_until("b", day(31))).unwrap();
    let whole = whole.replace("# launch\n", "# launch\nuntil = 2026-02-01\n");
    assert_eq!(now(), whole);
    change(&path, |draft| draft.set_until("b", day(32))).unwrap();
    let whole = whole.replace("2026-02-01", "2026-02-02");
    assert_eq!(now(), whole);

    let c = KeyEntry { bins: bins(&["612345"]), state: State::Pending, ..key("c", 2) };
    change(&path, |draft| draft.import(c)).unwrap();
    assert!(now().starts_with(&format!("{whole}\n\n[[key]]\nname = \"c\"\n")));
    change(&path, |draft| draft.remove("c")).unwrap();
    assert_eq!(now(), format!("{whole}\n"));

    change(&path, |draft| draft.set_state("a", State::Retired)).unwrap();
    change(&path, |draft| draft.remove("a")).unwrap();
    let [_, rest] = whole.split("\n\n# next").collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(now(), format!("{head}\n# next{rest}\n"));
}

#[test]
fn line_ends_of_another_system_do_no_harm() {
    let (_folder, path) = folder(&support::text(&[key("a", 0)], &kbpk()).replace('\n', "\r\n"));
    change(&path, |draft| draft.set_until("a", day(900))).unwrap();
    let keyring = change(&path, |draft| draft.rotate("a", successor("b", 1))).unwrap();
    assert_eq!(keyring.get("a").unwrap().until, Some(day(900)));
}

#[test]
fn a_block_may_hold_quotes() {
    let header = KeyBlockHeader::cvk(
        KeyBlockVersion::D,
        ModeOfUse::GenerateAndVerify,
        Exportability::Exportable,
    );
    let header = header.with_optional_block("LB", r#"a "label" of C:\keys '1'"#).unwrap();
    let kbpk = kbpk();
    let block = support::cvk(0).to_key_block(&header, &kbpk, &[0; 14]).unwrap();
    let (_folder, path) = folder(&support::text(&[], &kbpk));
    let keyring =
        change(&path, |draft| draft.import(KeyEntry { block: block.clone(), ..key("a", 0) }))
            .unwrap();
    assert_eq!(keyring.get("a").unwrap().block, block);
}

#[test]
fn what_the_keyring_could_not_be_loaded_with_is_not_written() {
    let (folder, path) = with_keys(&[key("a", 0)]);
    let before = fs::read_to_string(&path).unwrap();
    let refused = |change: Result<Keyring, KeyringError>| match change {
        Err(KeyringError::Refused { error, .. }) => error.cause,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("done"),
    };
    let mut other = successor("b", 1);
    other.block = block(1, ModeOfUse::GenerateAndVerify, &support::other_kbpk());
    let cause = refused(change(&path, |draft| draft.rotate("a", other)));
    assert!(matches!(cause, LoadCause::Block(_)));
    let wrong = Successor { kcv: kcv(2), ..successor("b", 1) };
    assert_eq!(refused(change(&path, |draft| draft.rotate("a", wrong))), LoadCause::KcvMismatch);
    let cause = refused(change(&path, |draft| draft.import(key("b", 1))));
    assert!(matches!(cause, LoadCause::Overlap { .. }));
    let cause = refused(change(&path, |draft| draft.import(key("a", 1))));
    assert!(matches!(cause, LoadCause::Repeated { .. }));
    let cause = refused(change(&path, |draft| draft.set_until("a", day(-1))));
    assert_eq!(cause, LoadCause::UntilBeforeFrom);

    for (change, cause) in [
        (change(&path, |draft| draft.rotate("c", successor("b", 1))), ChangeError::NoSuchKey),
        (
            change(&path, |draft| draft.set_state("a", State::Pending)),
            ChangeError::State { from: State::Active, to: State::Pending },
        ),
        (change(&path, |draft| draft.remove("a")), ChangeError::StillUsed { state: State::Active }),
    ] {
        assert!(matches!(change, Err(KeyringError::Change(error)) if error == cause));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(names(&folder), ["keyring.toml"]);
}

#[test]
fn a_keyring_that_is_not_in_order_is_not_changed() {
    let (_folder, path) = folder("format = 1\n");
    let kbpk = kbpk();
    let refused = Draft::open(&path, &kbpk).unwrap_err().to_string();
    assert!(
        refused
            .ends_with("keyring.toml: line 1, column 1: `kbpk_kcv`: missing; add it to this table")
    );
}

#[test]
fn an_existing_file_is_not_created_again() {
    let (folder, path) = folder("mine");
    assert!(matches!(fault(Keyring::create(&path, &kbpk())), FileFault::Exists));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(names(&folder), ["keyring.toml"]);
}

#[test]
fn two_changes_at_a_time_are_refused() {
    let (_folder, path) = with_keys(&[key("a", 0)]);
    let kbpk = kbpk();
    let draft = Draft::open(&path, &kbpk).unwrap();
    assert!(matches!(fault(Draft::open(&path, &kbpk)), FileFault::Busy));
    // Reading goes on.
    Keyring::read(&path, &kbpk).unwrap();
    drop(draft);
    Draft::open(&path, &kbpk).unwrap();
}

/// An editor knows nothing of locks.
#[test]
fn a_file_that_changed_meanwhile_is_left_as_it_is() {
    let (folder, path) = with_keys(&[key("a", 0)]);
    let before = fs::read_to_string(&path).unwrap();
    let in_place = |text: &str| edit(&path, text);
    let by_rename = |text: &str| {
        let other = folder.path().join("other");
        fs::write(&other, text).unwrap();
        fs::rename(other, &path).unwrap();
    };
    let comment = format!("{before}# by hand\n");
    for (editor, text) in
        [(&in_place as &dyn Fn(&str), &comment), (&by_rename, &comment), (&by_rename, &before)]
    {
        edit(&path, &before);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let changed = change(&path, |draft| {
            editor(text);
            draft.set_until("a", day(1))
        });
        assert!(matches!(fault(changed), FileFault::Changed));
        assert_eq!(&fs::read_to_string(&path).unwrap(), text);
        assert_eq!(names(&folder), ["keyring.toml"]);
    }
    edit(&path, &before);
    let gone = change(&path, |draft| {
        fs::remove_file(&path).unwrap();
        draft.set_until("a", day(1))
    });
    assert!(matches!(fault(gone), FileFault::Io(_)));
    assert!(names(&folder).is_empty());
}

#[test]
fn a_file_that_others_could_have_changed_is_refused() {
    let (folder, path) = with_keys(&[key("a", 0)]);
    let kbpk = kbpk();
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (bits, good) in
        [(0o600, true), (0o400, true), (0o644, true), (0o620, false), (0o602, false)]
    {
        mode(&path, bits);
        for opened in [Keyring::read(&path, &kbpk).map(drop), Draft::open(&path, &kbpk).map(drop)] {
            assert!(good == opened.is_ok() || matches!(fault(opened), FileFault::Writable));
        }
    }
    mode(&path, 0o600);
    for (bits, good) in
        [(0o700, true), (0o755, true), (0o770, false), (0o707, false), (0o1777, false)]
    {
        mode(folder.path(), bits);
        for opened in [Keyring::read(&path, &kbpk).map(drop), Draft::open(&path, &kbpk).map(drop)] {
            assert!(good == opened.is_ok() || matches!(fault(opened), FileFault::FolderWritable));
        }
    }
}

#[test]
fn what_is_no_keyring_file_is_refused() {
    let (folder, path) = folder("");
    let kbpk = kbpk();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    assert!(matches!(fault(Keyring::read(&below, &kbpk)), FileFault::NotAFile));
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(matches!(fault(Keyring::read(&pipe, &kbpk)), FileFault::NotAFile));
    let absent = folder.path().join("absent");
    assert!(matches!(fault(Keyring::read(&absent, &kbpk)), FileFault::Io(_)));
    fs::write(&path, [0xFF, 0xFE]).unwrap();
    assert!(matches!(fault(Keyring::read(&path, &kbpk)), FileFault::NotText));
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(cvv2_keyring::FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(fault(Keyring::read(&path, &kbpk)), FileFault::TooLong));
}

#[test]
fn mode_and_link_stay_what_they_were() {
    let (folder, path) = with_keys(&[key("a", 0)]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(&path, &link).unwrap();
    change(&link, |draft| draft.set_until("a", day(1))).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    assert_eq!(names(&folder), ["keyring.toml", "keyring.toml.previous"]);
}

fn exchange(a: &Path, b: &Path) {
    rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
}

/// The five states in which a killed process can leave the folder.
#[test]
fn leftovers_are_finished_or_undone() {
    let kbpk = kbpk();
    let [oldest, old, new] = [[].as_slice(), &[key("a", 0)], &[key("b", 1)]]
        .map(|entries| support::text(entries, &kbpk));
    let (folder, path) = folder(&old);
    let beside = |name: &str| folder.path().join(name);
    let previous = beside("keyring.toml.previous");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    fs::write(&previous, &oldest).unwrap();

    // Killed while the new text was written.
    fs::write(beside(".keyring.toml.new"), "[[ke").unwrap();
    drop(Draft::open(&path, &kbpk).unwrap());
    assert_eq!([read(&path), read(&previous)], [old.clone(), oldest.clone()]);
    assert_eq!(names(&folder).len(), 2);

    // Killed before the new text took the place of the old one.
    fs::write(beside(".keyring.toml.new"), &new).unwrap();
    fs::hard_link(beside(".keyring.toml.new"), beside(".keyring.toml.swap")).unwrap();
    drop(Draft::open(&path, &kbpk).unwrap());
    assert_eq!([read(&path), read(&previous)], [old.clone(), oldest]);
    assert_eq!(names(&folder).len(), 2);

    // Killed after that.
    fs::write(beside(".keyring.toml.new"), &new).unwrap();
    fs::hard_link(beside(".keyring.toml.new"), beside(".keyring.toml.swap")).unwrap();
    exchange(&beside(".keyring.toml.swap"), &path);
    drop(Draft::open(&path, &kbpk).unwrap());
    assert_eq!([read(&path), read(&previous)], [new.clone(), old]);
    assert_eq!(names(&folder).len(), 2);

    // Killed after the old text was kept.
    fs::write(beside(".keyring.toml.new"), &new).unwrap();
    drop(Draft::open(&path, &kbpk).unwrap());
    assert_eq!(read(&path), new);
    assert_eq!(names(&folder).len(), 2);

    // A previous file that is a second name of the present one.
    fs::remove_file(&previous).unwrap();
    fs::hard_link(&path, &previous).unwrap();
    change(&path, |draft| draft.set_until("b", day(1))).unwrap();
    assert_eq!(read(&previous), new);
    assert_eq!(names(&folder).len(), 2);
}
