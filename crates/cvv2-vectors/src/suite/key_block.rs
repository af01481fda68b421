//! `key_block.json`: what is in a key block, and which blocks are refused.

use cvv2::key::{
    Kbpk, KbpkAlgorithm, KeyBlockError, KeyBlockVersion, KeyUsage, ModeOfUse, OpenedKey,
};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, Kernel, KeyBlock, Policy};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::hex_bytes::{HexBytes, upper_hex};
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, present, vector_group, vector_test};
use crate::outcome::{Outcome, Refusal, even_bytes, half, length_detail};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBlocks {
    source: Source,
    kbpk: Protector,
    tests: Vec<KeyBlockTest>,
}

vector_group!(KeyBlocks, KeyBlockTest);

/// The protection key of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, try_from = "ProtectorText")]
struct Protector(Kbpk);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtectorText {
    algorithm: String,
    key: String,
}

impl TryFrom<ProtectorText> for Protector {
    type Error = String;

    fn try_from(text: ProtectorText) -> Result<Self, String> {
        let algorithm = KbpkAlgorithm::by_name(&text.algorithm)
            .ok_or_else(|| format!("unknown algorithm `{}`", text.algorithm))?;
        let kbpk = Kbpk::from_hex(algorithm, &text.key, Protection::Wiped);
        kbpk.map(Self).map_err(|error| error.to_string())
    }
}

vector_test! {
    KeyBlockTest {
        key_block: String,
        usage: String,
        #[serde(default, deserialize_with = "present")]
        key: Option<HexBytes>,
        #[serde(default, deserialize_with = "present")]
        padding: Option<HexBytes>,
        #[serde(default, deserialize_with = "present")]
        generates: Option<bool>,
        #[serde(default, deserialize_with = "present")]
        verifies: Option<bool>,
        #[serde(default, deserialize_with = "present")]
        half: Option<char>,
        #[serde(default, deserialize_with = "present")]
        even_bytes: Option<u32>,
    }
}

impl VectorTest for KeyBlockTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        let hex = |name, bytes: &Option<HexBytes>| Some(format!("{name} {}", bytes.as_ref()?));
        vec![hex("key", &self.key), hex("padding", &self.padding)]
    }

    fn refusal_detail(&self) -> String {
        match (self.half, self.even_bytes) {
            (Some(name), _) => half(name),
            (None, Some(bytes)) => even_bytes(bytes),
            (None, None) => length_detail(self.refused_by, &self.key_block),
        }
    }
}

impl Ask for KeyBlocks {
    fn ask(&self, test: &KeyBlockTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let kbpk = &self.kbpk.0;
        let Some(usage) = KeyUsage::parse(&test.usage) else { return Vec::new() };
        let is_cvk = usage == KeyUsage::CARD_VERIFICATION;
        let import = || {
            let block = KeyBlock::parse(&test.key_block)?;
            CvkPair::from_key_block(&block, kbpk, ExpiryOrder::YyMm)
        };
        let Some(key) = &test.key else {
            let (way, refused) = if is_cvk {
                ("CvkPair::from_key_block", import().err())
            } else {
                ("Kbpk::open", open(kbpk, &test.key_block, usage).err())
            };
            let got = refused.map_or(Ok("a key"), |error| Err(Refusal::from(error)));
            return vec![Attempt::new(way, test.expected(), got)];
        };

        let opened = open(kbpk, &test.key_block, usage);
        let shown = opened.as_ref().map(|(_, key)| show(key)).map_err(|error| (*error).into());
        let mut attempts = vec![Attempt::new("Kbpk::open", test.expected(), shown)];
        if let Ok((block, key)) = &opened {
            attempts.extend(seal_again(kbpk, block, key, &test.key_block));
        }
        if is_cvk {
            attempts.extend(ask_about_cvk(test, &key.to_string(), import));
        }
        attempts
    }
}

fn open(kbpk: &Kbpk, text: &str, usage: KeyUsage) -> Result<(KeyBlock, OpenedKey), KeyBlockError> {
    let block = KeyBlock::parse(text)?;
    let key = kbpk.open(&block, usage)?;
    Ok((block, key))
}

fn show(key: &OpenedKey) -> String {
    format!("key {} padding {}", upper_hex(key.expose()), upper_hex(key.padding()))
}

/// Asks for the same block to be made again, where blocks of its version are made.
fn seal_again(kbpk: &Kbpk, block: &KeyBlock, key: &OpenedKey, text: &str) -> Option<Attempt> {
    let header = block.header();
    if matches!(header.version(), KeyBlockVersion::A | KeyBlockVersion::C) {
        return None;
    }
    let sealed = kbpk.seal(header, key.expose(), key.padding());
    let got = sealed.map(|block| block.to_string()).map_err(Refusal::from);
    Some(Attempt::new("Kbpk::seal", Outcome::Answer(text.to_owned()), got))
}

/// Asks whether the pair is the stated key, and what its mode of use lets it do.
fn ask_about_cvk(
    test: &KeyBlockTest,
    key: &str,
    import: impl Fn() -> Result<CvkPair, KeyBlockError>,
) -> Vec<Attempt> {
    let imported = || import().map_err(Refusal::from);
    let compare = || -> Result<_, Refusal> {
        let stated = CvkPair::from_hex(key, ExpiryOrder::YyMm, Policy::Strict)?;
        let same = bool::from(imported()?.ct_eq(&stated));
        Ok(if same { key } else { "another key" })
    };
    let expected = Outcome::Answer(key.to_owned());
    let mut attempts = vec![Attempt::new("CvkPair::from_key_block", expected, compare())];
    let mut ask = |way, stated: Option<bool>, may: fn(ModeOfUse) -> bool| {
        if let Some(stated) = stated {
            let got = imported().map(|pair| may(pair.mode_of_use()).to_string());
            attempts.push(Attempt::new(way, Outcome::Answer(stated.to_string()), got));
        }
    };
    ask("may_generate", test.generates, ModeOfUse::may_generate);
    ask("may_verify", test.verifies, ModeOfUse::may_verify);
    attempts
}
