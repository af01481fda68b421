//! The line that a KBPK is kept in: what it is, the key, and a check value.

use core::error::Error;
use core::fmt;

use cvv2::key::{Kbpk, KbpkAlgorithm, KbpkError};
use cvv2::secret::Protection;
use zeroize::Zeroizing;

use crate::{CheckValue, SecretText};

/// What the line starts with, so that no other secret is taken for a KBPK.
const MARK: &str = "cvv2-kbpk-1";

/// Takes the key of a line.
pub(super) fn parse(text: &SecretText, at_least: Protection) -> Result<Kbpk, FormError> {
    let mut words = text.as_str().split_ascii_whitespace();
    if words.next() != Some(MARK) {
        return Err(FormError::Mark);
    }
    let (Some(algorithm), Some(hex), Some(stated), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(FormError::Words);
    };
    let algorithm = KbpkAlgorithm::by_name(algorithm).ok_or(FormError::Algorithm)?;
    let stated = CheckValue::parse(stated).ok_or(FormError::CheckValue)?;
    let kbpk = Kbpk::from_hex(algorithm, hex, at_least).map_err(FormError::Key)?;
    let computed = check_value(&kbpk);
    if stated != computed {
        return Err(FormError::Kcv { stated, computed });
    }
    Ok(kbpk)
}

/// The line of a key.
pub(super) fn write(algorithm: KbpkAlgorithm, hex: &str, kcv: CheckValue) -> Zeroizing<String> {
    // Long enough for any line, so that it is not moved while it grows.
    let mut line = Zeroizing::new(String::with_capacity(SecretText::LEN_MAX));
    for part in [MARK, " ", algorithm.name(), " ", hex, " ", &kcv.to_string()] {
        line.push_str(part);
    }
    line
}

/// The check value that the line states: as HSMs show it, so the older one of a triple-DES key.
pub(super) fn check_value(kbpk: &Kbpk) -> CheckValue {
    kbpk.kcv_tdes_zeros().unwrap_or(kbpk.kcv()).into()
}

/// Why a text is no KBPK. Never holds or shows anything of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum FormError {
    /// The second word is no algorithm.
    Algorithm,
    /// The last word is no check value.
    CheckValue,
    /// The key has another check value than the line states.
    Kcv {
        /// What the line states.
        stated: CheckValue,
        /// What it is.
        computed: CheckValue,
    },
    /// The third word is no good key of the algorithm.
    Key(KbpkError),
    /// The first word is not the mark.
    Mark,
    /// There are more or fewer than four words.
    Words,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => {
                let names = KbpkAlgorithm::ALL.map(KbpkAlgorithm::name).join(", ");
                write!(f, "the second word of a KBPK is its algorithm: one of {names}")
            }
            Self::CheckValue => {
                f.write_str("the last word of a KBPK is its check value of six hexadecimal digits")
            }
            Self::Kcv { stated, computed } => write!(
                f,
                "the check value of this KBPK is {computed}, and {stated} is stated; a digit of \
                 the one or the other is wrong"
            ),
            Self::Key(error) => error.fmt(f),
            Self::Mark => write!(
                f,
                "not a KBPK, which is kept as `{MARK} aes-256 HEX KCV`; nothing else is taken for \
                 one"
            ),
            Self::Words => write!(
                f,
                "a KBPK is kept as four words, `{MARK} aes-256 HEX KCV`, with no spaces in HEX"
            ),
        }
    }
}

impl Error for FormError {}

#[cfg(test)]
mod tests {
    use super::*;

    // The protection keys of published key blocks.
    const AES: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    const TDES: &str = "89E88CF7931444F334BD7547FC3F380C";

    fn parsed(line: &str) -> Result<Kbpk, FormError> {
        let text = SecretText::try_from(line.as_bytes().to_vec()).unwrap();
        let parsed = parse(&text, Protection::Wiped);
        if let Err(error) = &parsed {
            for shown in [error.to_string(), format!("{error:?}")] {
                for part in [&AES[..8], &AES[56..], &TDES[..8], &TDES[24..]] {
                    assert!(!shown.contains(part), "{shown}");
                }
            }
        }
        parsed
    }

    #[test]
    fn what_is_written_is_read() {
        for (algorithm, hex) in [
            (KbpkAlgorithm::Aes256, AES),
            (KbpkAlgorithm::Aes128, &AES[..32]),
            (KbpkAlgorithm::TdesDouble, TDES),
        ] {
            let kbpk = Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
            let line = write(algorithm, hex, check_value(&kbpk));
            let read = parsed(&line).unwrap();
            assert_eq!((read.algorithm(), read.kcv()), (algorithm, kbpk.kcv()));
        }
    }

    #[test]
    fn the_line_is_as_it_is_documented() {
        parsed(&format!("cvv2-kbpk-1 aes-256 {AES} 233155\n")).unwrap();
        parsed(&format!(" cvv2-kbpk-1\taes-256  {} 233155", AES.to_lowercase())).unwrap();
        // Both check values are OpenSSL's too, and this one is the older one.
        parsed(&format!("cvv2-kbpk-1 tdes-double {TDES} D1D812")).unwrap();
    }

    #[test]
    fn what_is_no_line_of_a_kbpk_is_refused_and_says_why() {
        let typo = AES.replacen('8', "9", 1);
        for (line, why) in [
            (String::new(), "not a KBPK"),
            (AES.to_owned(), "not a KBPK"),
            (format!("cvv2-kbpk-2 aes-256 {AES} 233155"), "not a KBPK"),
            ("cvv2-kbpk-1".to_owned(), "four words"),
            (format!("cvv2-kbpk-1 {AES} 233155"), "four words"),
            (format!("cvv2-kbpk-1 aes-256 {AES}"), "four words"),
            (format!("cvv2-kbpk-1 aes-256 {AES} 233155 more"), "four words"),
            (format!("cvv2-kbpk-1 aes-256 {} {} 233155", &AES[..32], &AES[32..]), "four words"),
            (format!("cvv2-kbpk-1 aes {AES} 233155"), "one of tdes-double, "),
            (format!("cvv2-kbpk-1 {AES} aes-256 233155"), "one of tdes-double, "),
            (format!("cvv2-kbpk-1 aes-256 {AES} 23315"), "six hexadecimal digits"),
            (format!("cvv2-kbpk-1 aes-256 {AES} {AES}"), "six hexadecimal digits"),
            (format!("cvv2-kbpk-1 aes-128 {AES} 233155"), "64 characters"),
            (format!("cvv2-kbpk-1 aes-256 {} 233155", &AES[2..]), "62 characters"),
            (format!("cvv2-kbpk-1 aes-256 {}G 233155", &AES[1..]), "character 64"),
            (format!("cvv2-kbpk-1 aes-256 {typo} 233155"), "233155 is stated"),
            (format!("cvv2-kbpk-1 aes-256 {AES} 233156"), "233156 is stated"),
        ] {
            let error = parsed(&line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
