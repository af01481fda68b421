//! Headers that are built.

use super::*;

#[test]
fn padding_is_made_as_needed_and_kept_as_it_was() {
    let b = KeyBlockHeader::cvk(KeyBlockVersion::B, ModeOfUse::Generate, Exportability::Exportable);
    for (data, padding) in [
        ("", Some("PB04")),
        ("x", Some("PB0B0000000")),
        ("xxx", Some("PB0900000")),
        ("xxxx", None),
        ("xxxxx", Some("PB07000")),
    ] {
        let header = b.clone().with_optional_block("LB", data).unwrap();
        let found = header.optional_block("PB").map(OptionalBlock::as_str);
        assert_eq!(found, padding, "{data}");
    }
    let d = b.with_optional_block("LB", "xxxx").unwrap().with_version(KeyBlockVersion::D);
    assert_eq!(d.optional_blocks()[1].as_str(), "PB080000");
    assert!(d.with_version(KeyBlockVersion::B).optional_block("PB").is_none());
}

#[test]
fn what_is_no_optional_block_is_not_added() {
    let header = cvk_header(ModeOfUse::Generate).with_optional_block("LB", "a").unwrap();
    for (id, data, flaw) in [
        ("LB", "b", OptionalBlockFlaw::Duplicate),
        ("PB", "b", OptionalBlockFlaw::PaddingNotLast),
        ("L", "b", OptionalBlockFlaw::Id),
        ("L-", "b", OptionalBlockFlaw::Id),
        ("é", "b", OptionalBlockFlaw::Id),
    ] {
        let error = KeyBlockError::OptionalBlock { number: 2, at: 0, flaw };
        assert_eq!(header.clone().with_optional_block(id, data).unwrap_err(), error);
    }
    let error = header.clone().with_optional_block("XX", "a\u{7f}").unwrap_err();
    assert_eq!(error, KeyBlockError::NotPrintable { at: 1 });
    let error = header.with_optional_block("XX", &"x".repeat(70_000)).unwrap_err();
    assert_eq!(error, KeyBlockError::TooLong);
}

#[test]
fn a_block_that_would_be_too_long_is_not_made() {
    let long = cvk_header(ModeOfUse::Generate).with_optional_block("LB", &"x".repeat(9900));
    let error = kbpk(D_KBPK).seal(&long.unwrap(), &[1; 16], &PADDING).unwrap_err();
    assert_eq!(error, KeyBlockError::TooLong);
    let many = (0..100).fold(cvk_header(ModeOfUse::Generate), |header, i| {
        header.with_optional_block(&format!("{i:02}"), "xxxxxxxxxxxx").unwrap()
    });
    let error = kbpk(D_KBPK).seal(&many, &[1; 16], &PADDING).unwrap_err();
    assert_eq!(error, KeyBlockError::TooLong);
}
