//! What is no key block by its text, and where.

use super::*;

fn refused(text: &str) -> KeyBlockError {
    KeyBlock::parse(text).unwrap_err()
}

/// `B` with other characters from `at` on.
fn with(at: usize, characters: &str) -> String {
    format!("{}{characters}{}", &B[..at], &B[at + characters.len()..])
}

#[test]
fn what_is_parsed_is_what_was_read() {
    for text in [A, B, C, D] {
        let block = KeyBlock::parse(text).unwrap();
        assert_eq!((block.as_str(), block.to_string().as_str()), (text, text));
        let chars = text.len() - block.header_chars;
        assert_eq!(block.header().text(chars).unwrap(), text[..block.header_chars]);
    }
}

#[test]
fn debug_shows_the_header_only() {
    let block = KeyBlock::parse(A).unwrap();
    assert_eq!(format!("{block:?}"), "KeyBlock(\"A0072P0TE00E0000\", ..)");
}

#[test]
fn every_field_of_the_fixed_header_is_refused_where_it_is_wrong() {
    use HeaderField::*;
    for (at, characters, field) in [
        (0, "E", Version),
        (0, "b", Version),
        (0, "1", Version),
        (1, "O", Length),
        (4, "x", Length),
        (5, "b", Usage),
        (6, "-", Usage),
        (7, "X", Algorithm),
        (7, "0", Algorithm),
        (8, "A", ModeOfUse),
        (8, "1", ModeOfUse),
        (9, "_", KeyVersion),
        (10, " ", KeyVersion),
        (11, "X", Exportability),
        (12, "A", OptionalBlocks),
        (13, "-", OptionalBlocks),
        (14, "3", KeyContext),
        (15, "1", Reserved),
    ] {
        assert_eq!(refused(&with(at, characters)), KeyBlockError::Field { field, at });
    }
}

#[test]
fn a_length_that_lies_is_refused_with_both_numbers() {
    for stated in [0, 16, 88, 103, 105, 112, 9999] {
        let text = with(1, &format!("{stated:04}"));
        assert_eq!(refused(&text), KeyBlockError::Length { stated, chars: 104 });
    }
    for (text, chars) in [(&B[..103], 103), (&B[..16], 16), (&format!("{B} "), 105)] {
        assert_eq!(refused(text), KeyBlockError::Length { stated: 104, chars });
    }
    for text in ["", "B", &B[..15]] {
        let chars = text.len();
        assert_eq!(refused(text), KeyBlockError::Short { chars, at_least: 16 });
    }
    let odd = format!("B0103{}", &B[5..103]);
    assert_eq!(refused(&odd), KeyBlockError::LengthMultiple { chars: 103, of: 8 });
    let half = format!("D0104{}", &D[5..104]);
    assert_eq!(refused(&half), KeyBlockError::LengthMultiple { chars: 104, of: 16 });
}

#[test]
fn a_header_without_a_key_behind_it_is_refused() {
    for (text, at_least) in [("B0016B0TX12S0000", 48), ("D0032B0TX12S00000123456789ABCDEF", 80)] {
        let chars = text.len();
        assert_eq!(refused(text), KeyBlockError::Short { chars, at_least });
    }
    let text = format!("B0056B0TX12S0000{:0>40}", "");
    assert_eq!(refused(&text), KeyBlockError::PayloadLength { digits: 24, of: 16 });
    let text = format!("B0304B0TX12S0000{:0>288}", "");
    assert_eq!(refused(&text), KeyBlockError::PayloadLength { digits: 272, of: 16 });
}

#[test]
fn hexadecimal_digits_are_upper_case() {
    let header = 40;
    assert_eq!(
        refused(&format!("{}{}", &B[..header], B[header..].to_lowercase())),
        KeyBlockError::Digit { at: 40 },
    );
    for (at, digit) in [(40, "g"), (63, "a"), (103, "f"), (90, " "), (90, "/"), (90, ":")] {
        assert_eq!(refused(&with(at, digit)), KeyBlockError::Digit { at });
    }
}

#[test]
fn characters_beyond_printable_ascii_are_refused_wherever_they_stand() {
    for (text, at) in [
        (format!("\u{feff}{B}"), 0),
        (format!("{B}\n"), 104),
        (B.replace('8', "８"), 19),
        (B.replacen("BB", "\0B", 1), 40),
    ] {
        assert_eq!(refused(&text), KeyBlockError::NotPrintable { at });
    }
}

#[test]
fn optional_blocks_are_refused_with_number_position_and_flaw() {
    use OptionalBlockFlaw::*;
    // 24 characters of optional blocks, from position 16 on.
    for (count, optional, number, at, flaw) in [
        (1, "K?1800604B120F9292800000", 1, 17, Id),
        (1, "KS1g00604B120F9292800000", 1, 19, Length),
        (1, "KS1a00604B120F9292800000", 1, 19, Length),
        (1, "KS0300604B120F9292800000", 1, 18, TooShort),
        (1, "KSFF00604B120F9292800000", 1, 18, Beyond),
        (1, "KS000300604B120F92928000", 1, 20, LengthOfLength),
        (1, "KS00040009B120F929280000", 1, 22, TooShort),
        (1, "KS0004FFFFB120F929280000", 1, 22, Beyond),
        (1, "KS000400x8B120F929280000", 1, 24, Length),
        (2, "KS0C00604B12KS0C92928000", 2, 28, Duplicate),
        (2, "PB0C00604B12KS0C92928000", 1, 16, PaddingNotLast),
        (3, "KS0C00604B12TT0C92928000", 3, 41, Id),
    ] {
        let mut text = with(16, optional);
        text.replace_range(12..14, &format!("{count:02}"));
        text.replace_range(40..42, "B?");
        let error = KeyBlockError::OptionalBlock { number, at, flaw };
        assert_eq!(refused(&text), error, "{optional}");
    }
    let ends = format!("B0024B0TX12S0200{}", "KS06AATT");
    let error = KeyBlockError::OptionalBlock { number: 2, at: 22, flaw: Beyond };
    assert_eq!(refused(&ends), error);
}

#[test]
fn optional_blocks_have_to_fill_cipher_blocks() {
    let text = with(16, "KS06AA");
    assert_eq!(refused(&text), KeyBlockError::HeaderMultiple { chars: 22, of: 8 });
}

#[test]
fn extended_lengths_are_read_and_written_as_they_were() {
    let long = "x".repeat(252);
    let header = cvk_header(ModeOfUse::Verify).with_optional_block("LB", &long).unwrap();
    assert_eq!(&header.optional_blocks()[0].as_str()[..12], "LB00040106xx");
    let block = seal(&header, &[0x31; 16]);
    let read = KeyBlock::parse(block.as_str()).unwrap();
    assert_eq!(read, block);
    assert_eq!(read.header().optional_block("LB").unwrap().data(), long);

    // A short one with a long length is not shortened.
    for spelled in ["KS00040018B120F929280000", "KS00020018B120F929280000"] {
        let spelled = KeyBlock::parse(&with(16, spelled)).unwrap();
        assert_eq!(spelled.header().optional_blocks()[0].data(), "B120F929280000");
        assert_eq!(spelled.header().text(64).unwrap(), spelled.as_str()[..40]);
    }
}
