use std::fs;
use std::os::unix::fs::PermissionsExt;

use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KeyError};
use time::macros::datetime;

use super::script::Act::{self, Abort, Hidden, Shown, TooLong};
use super::script::Script;
use super::*;

// Components and check values of vectors/component.json.
const FIRST: &str = "137A2C25C198E3EAA76161B99BA4C267";
const SECOND: &str = "D5BFAD649E4CC43D023151DFC2791CE5";
const THIRD: &str = "3BFE1FFD7FAB378A8F45E50E98A44C01";
const FIRST_KCV: &str = "38EECD";
const SECOND_KCV: &str = "09A2B8";
const KEY_KCV: &str = "D5BE96";
const KEY_OF_THREE_KCV: &str = "BE7EA0";

type Run = (Result<(CvkPair, Record), CeremonyError<KeyError>>, String);

/// Runs a ceremony for a CVK pair; every act has to be used.
fn run(ceremony: &Ceremony, acts: &[Act]) -> Run {
    let mut script = Script::new(acts);
    let assembly = CvkAssembly::live(ExpiryOrder::YyMm, Protection::Wiped);
    let ran = ceremony.run(&assembly, &mut script);
    (ran, script.end())
}

fn refused(ceremony: &Ceremony, acts: &[Act]) -> (CeremonyError<KeyError>, String) {
    let (ran, screen) = run(ceremony, acts);
    let error = ran.unwrap_err();
    for shown in [&screen, &error.to_string(), &format!("{error:?}")] {
        for part in [&FIRST[..8], &FIRST[24..], &SECOND[..8], &SECOND[24..]] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
    (error, screen)
}

fn kcv(text: &str) -> CheckValue {
    CheckValue::parse(text).unwrap()
}

fn expecting(kcvs: &[&str], key: &str) -> Ceremony {
    let custodian = |text: &&str| Custodian {
        entry: Entry::Typed { kcv: Some(kcv(text)) },
        ..Custodian::default()
    };
    Ceremony { custodians: kcvs.iter().map(custodian).collect(), kcv: Some(kcv(key)) }
}

#[test]
fn two_or_three_custodians_make_a_key_when_all_is_confirmed() {
    let yes = Shown("yes");
    let two = [Hidden(FIRST), yes, Hidden(SECOND), yes, yes];
    let (ran, screen) = run(&Ceremony::of(2), &two);
    let (key, record) = ran.unwrap();
    assert_eq!(key.kcv(KcvMethod::TdesZeros).to_string(), KEY_KCV);
    assert_eq!(record.kcv, kcv(KEY_KCV));
    for part in ["Component 1 of 2", FIRST_KCV, "Component 2 of 2", SECOND_KCV, KEY_KCV] {
        assert!(screen.contains(part), "{screen}");
    }

    let three = [Hidden(FIRST), yes, Hidden(SECOND), yes, Hidden(THIRD), Shown(" YES "), yes];
    let (key, _) = run(&Ceremony::of(3), &three).0.unwrap();
    assert_eq!(key.kcv(KcvMethod::TdesZeros).to_string(), KEY_OF_THREE_KCV);
}

#[test]
fn a_component_is_typed_as_forms_print_it() {
    let acts = [
        Hidden("137a 2c25 c198 e3ea a761 61b9 9ba4 c267"),
        Shown("yes"),
        Hidden(" D5BFAD649E4CC43D  023151DFC2791CE5 "),
        Shown("yes"),
        Shown("yes"),
    ];
    assert_eq!(run(&Ceremony::of(2), &acts).0.unwrap().1.kcv, kcv(KEY_KCV));
}

#[test]
fn known_check_values_are_compared_instead_of_confirmed() {
    let ceremony = expecting(&[FIRST_KCV, SECOND_KCV], KEY_KCV);
    let (ran, screen) = run(&ceremony, &[Hidden(FIRST), Hidden(SECOND)]);
    ran.unwrap();
    assert_eq!(screen.matches("as expected").count(), 3, "{screen}");

    let ceremony = expecting(&[FIRST_KCV, SECOND_KCV], KEY_OF_THREE_KCV);
    let (error, _) = refused(&ceremony, &[Hidden(FIRST), Hidden(SECOND)]);
    assert!(matches!(error, CeremonyError::Kcv { expected, computed }
        if expected == kcv(KEY_OF_THREE_KCV) && computed == kcv(KEY_KCV)));
}

#[test]
fn a_mistyped_component_is_asked_for_again_and_not_for_ever() {
    let typo = "137A2C25C198E3EAA76161B99BA4C266"; // differs in a parity bit only
    let another = "137A2C25C198E3EAA76161B99BA4C269";
    let ceremony = expecting(&[FIRST_KCV, SECOND_KCV], KEY_KCV);
    let acts = [Hidden(another), Hidden(&FIRST[1..]), Hidden(FIRST), TooLong, Hidden(SECOND)];
    let (ran, screen) = run(&ceremony, &acts);
    ran.unwrap();
    for part in ["mistyped", "31 characters", "too long"] {
        assert!(screen.contains(part), "{screen}");
    }

    let (error, _) = refused(&ceremony, &[Hidden(another); TRIES_MAX]);
    assert!(matches!(error, CeremonyError::Tries { number: 1 }));
    let three = [Hidden("xyz"), Hidden(""), TooLong];
    let (error, screen) = refused(&Ceremony::of(2), &three);
    assert!(matches!(error, CeremonyError::Tries { number: 1 }));
    assert!(screen.contains("Not a component"), "{screen}");

    // Nobody's check value shows a parity bit, and the key has its parity set in the end.
    let acts = [Hidden(typo), Hidden(SECOND)];
    assert_eq!(run(&ceremony, &acts).0.unwrap().1.kcv, kcv(KEY_KCV));
}

#[test]
fn a_check_value_that_is_not_confirmed_ends_in_no_key() {
    let (yes, no) = (Shown("yes"), Shown("no"));
    let acts = [Hidden(FIRST), no, Hidden(FIRST), yes, Hidden(SECOND), yes, no];
    let (error, _) = refused(&Ceremony::of(2), &acts);
    assert!(matches!(error, CeremonyError::NotConfirmed));

    // "y" is typed too easily.
    let acts = [Hidden(FIRST), Shown("y"), Shown(""), Shown("oui")];
    let (error, screen) = refused(&Ceremony::of(2), &acts);
    assert!(matches!(error, CeremonyError::NotConfirmed));
    assert!(screen.contains("whole word"), "{screen}");
}

#[test]
fn whoever_aborts_ends_it_at_any_question() {
    let yes = Shown("yes");
    let all = [Hidden(FIRST), yes, Hidden(SECOND), yes, yes];
    for at in 0..all.len() {
        let mut acts = all[..at].to_vec();
        acts.push(Abort);
        let (error, _) = refused(&Ceremony::of(2), &acts);
        assert!(matches!(error, CeremonyError::Prompt(PromptError::Aborted)), "{at}");
    }
}

#[test]
fn components_that_hide_nothing_are_refused() {
    let yes = Shown("yes");
    let zeros = Hidden("00000000000000000000000000000000");
    let zeros_of_odd_parity = Hidden("01010101010101010101010101010101");
    for zero in [zeros, zeros_of_odd_parity] {
        let (error, _) = refused(&Ceremony::of(2), &[Hidden(FIRST), yes, zero, yes]);
        assert!(matches!(error, CeremonyError::Zero { number: 2 }));
    }
    let twice = [Hidden(FIRST), yes, Hidden(SECOND), yes, Hidden(FIRST), yes];
    let (error, _) = refused(&Ceremony::of(3), &twice);
    assert!(matches!(error, CeremonyError::Equal { first: 1, second: 3 }));
}

#[test]
fn components_of_a_weak_key_are_refused_without_showing_them() {
    // CVK A is weak once parity is set: tcId 22 of vectors/component.json.
    let yes = Shown("yes");
    let acts = [
        Hidden("F1916DCB291308FD1C0E49E064E5294F"),
        yes,
        Hidden("F1916DCB291308FDE2D2F37812B11B5F"),
        yes,
    ];
    let (error, _) = refused(&Ceremony::of(2), &acts);
    assert!(matches!(error, CeremonyError::Key(KeyError::Weak { half: 'A' })));
}

#[test]
fn one_custodian_or_four_are_refused_before_anything_is_asked() {
    for given in [0, 1, 4] {
        let (error, screen) = refused(&Ceremony::of(given), &[]);
        assert!(matches!(error, CeremonyError::Custodians { given: n } if n == given));
        assert_eq!(screen, "");
    }
}

#[test]
fn names_are_asked_for_and_never_taken_from_a_component() {
    let named = |name: Name| Custodian { name, ..Custodian::default() };
    let ceremony = Ceremony {
        custodians: vec![named(Name::Asked), named(Name::Given("Bob Ölund".into()))],
        kcv: None,
    };
    let yes = Shown("yes");
    let rest = [Hidden(FIRST), yes, Hidden(SECOND), yes, yes];
    let mut acts = vec![Shown("\u{1b}[2J"), Shown("Alice Ames ")];
    acts.extend(rest);
    let (ran, screen) = run(&ceremony, &acts);
    let names: Vec<_> = ran.unwrap().1.custodians.into_iter().map(|c| c.name.unwrap()).collect();
    assert_eq!(names, ["Alice Ames", "Bob Ölund"]);
    assert!(screen.contains("control characters"), "{screen}");

    let too_long = &"n".repeat(NAME_CHARS_MAX + 1);
    for (name, why) in [
        ("", "empty"),
        (too_long, "64 characters"),
        ("0123456789ABCDEF", "looks like a component"),
        ("0123 4567 89ab cdef 0123", "looks like a component"),
    ] {
        let error = judge_name(name, &[]).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    }
    judge_name("Ada Abebe", &[]).unwrap();

    let twice = Ceremony { custodians: vec![named(Name::Given("Ann".into())); 2], kcv: None };
    let (error, _) = refused(&twice, &[Hidden(FIRST), yes]);
    assert!(matches!(error, CeremonyError::Name { number: 2, .. }));
}

#[test]
fn components_come_from_private_files_with_their_check_value() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, mode: u32, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Custodian { entry: Entry::File(path), ..Custodian::default() }
    };
    let second = file("second", 0o600, &format!("{SECOND}\t{}\n", SECOND_KCV.to_lowercase()));
    let from = |first: &Custodian| Ceremony {
        custodians: vec![first.clone(), second.clone()],
        kcv: Some(kcv(KEY_KCV)),
    };

    let first = file("first", 0o400, &format!("{FIRST} {FIRST_KCV}\n"));
    run(&from(&first), &[]).0.unwrap();

    let open = file("open", 0o644, &format!("{FIRST} {FIRST_KCV}\n"));
    assert!(matches!(refused(&from(&open), &[]).0, CeremonyError::File(_)));
    for (number, text) in [FIRST, "", &format!("{FIRST} {FIRST_KCV}0")].into_iter().enumerate() {
        let bare = file(&number.to_string(), 0o600, text);
        assert!(matches!(refused(&from(&bare), &[]).0, CeremonyError::Form { .. }), "{number}");
    }
    let short = file("short", 0o600, &format!("{} {FIRST_KCV}", &FIRST[2..]));
    assert!(matches!(
        refused(&from(&short), &[]).0,
        CeremonyError::Component { number: 1, error: KeyError::Length { chars: 30, .. } }
    ));
    let wrong = file("wrong", 0o600, &format!("{FIRST} {SECOND_KCV}"));
    assert!(matches!(
        refused(&from(&wrong), &[]).0,
        CeremonyError::ComponentKcv { number: 1, stated, computed }
            if stated == kcv(SECOND_KCV) && computed == kcv(FIRST_KCV)
    ));
}

#[test]
fn the_transcript_says_who_when_and_which_check_values_and_nothing_of_the_key() {
    let named = |name: &str| Custodian { name: Name::Given(name.into()), ..Custodian::default() };
    let ceremony = Ceremony { custodians: vec![named("Alice"), Custodian::default()], kcv: None };
    let yes = Shown("yes");
    let (ran, _) = run(&ceremony, &[Hidden(FIRST), yes, Hidden(SECOND), yes, yes]);
    let (_key, record) = ran.unwrap();
    let date = datetime!(2026-11-23 09:08:07.654 +05:30);
    let transcript = Transcript::new(record, date, "cvv2 0.1.0");

    let text = transcript.to_string();
    let blank = "_".repeat(48);
    assert_eq!(
        text,
        format!(
            "Key ceremony\n\n\
             Date           2026-11-23T09:08:07+05:30\n\
             Tool           cvv2 0.1.0\n\
             Purpose        Card verification key (CVK A and CVK B)\n\
             Algorithm      tdes-double\n\
             Check values   a block of zeros encrypted, leftmost three bytes\n\n\
             Component 1    38EECD   Alice\n\
             Component 2    09A2B8\n\
             Key            D5BE96\n\n\
             Custodian 1    {blank}\n\
             Custodian 2    {blank}\n"
        )
    );
    assert_eq!(
        serde_json::to_value(&transcript).unwrap(),
        serde_json::json!({
            "date": "2026-11-23T09:08:07+05:30",
            "tool": "cvv2 0.1.0",
            "purpose": "Card verification key (CVK A and CVK B)",
            "algorithm": "tdes-double",
            "kcv_method": "tdes-zeros",
            "custodians": [{ "name": "Alice", "kcv": "38EECD" }, { "name": null, "kcv": "09A2B8" }],
            "kcv": "D5BE96",
        })
    );
}

#[test]
fn a_cvk_and_its_components_have_the_memory_that_was_asked_for() {
    let at_least = Protection::strongest();
    let assembly = CvkAssembly::live(ExpiryOrder::YyMm, at_least);
    let parts = [FIRST, SECOND].map(|hex| assembly.component(hex).unwrap());
    for part in &parts {
        assert!(part.protection() >= at_least);
    }
    assert!(assembly.put_together(&parts).unwrap().protection() >= at_least);

    if at_least < Protection::MemfdSecret {
        let assembly = CvkAssembly::live(ExpiryOrder::YyMm, Protection::MemfdSecret);
        assert!(matches!(assembly.component(FIRST), Err(KeyError::Secret(_))));
    }
}
