//! What holds for every key block: what is sealed opens and is the same text again, and no change of
//! an authentic block is accepted.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::cell::Cell;

use cvv2::KeyBlock;
use cvv2::key::{
    Exportability, Kbpk, KbpkAlgorithm, KeyAlgorithm, KeyBlockError, KeyBlockHeader,
    KeyBlockVersion, KeyContext, KeyUsage, KeyVersion, ModeOfUse,
};
use cvv2::secret::Protection;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const TDES_DOUBLE: &str = "1D22BF32387C600AD97F9B97A51311AC";
const TDES_TRIPLE: &str = "1D22BF32387C600AD97F9B97A51311ACB8ED59E0A279A295";
const AES_128: &str = "0F1E2D3C4B5A69788796A5B4C3D2E1F0";
const AES_256: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";

/// Changes of authentic blocks, twenty thousand unless `CVV2_KEY_BLOCK_MUTATIONS` asks for
/// another number: none opens, and no error is hard to print.
#[test]
fn no_mutation_of_an_authentic_block_is_accepted() {
    let wanted = std::env::var("CVV2_KEY_BLOCK_MUTATIONS").map_or(20_000, |text| {
        text.parse().expect("CVV2_KEY_BLOCK_MUTATIONS is a number of mutations")
    });
    let families = families();
    let config = Config { cases: wanted, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let reached_mac = Cell::new(0);
    TestRunner::new_with_rng(config, random)
        .run(&mutated(), |(family, blocks, mutations, repaired)| {
            let Family { kbpk, texts } = family.get(&families);
            let [text, other] = blocks.map(|block| block.get(texts).clone());
            let mut changed = text.into_bytes();
            for mutation in &mutations {
                mutation.apply(&mut changed, other.as_bytes());
            }
            if repaired {
                repair_length(&mut changed);
            }
            let changed = String::from_utf8(changed).unwrap();
            if texts.contains(&changed) {
                return Ok(()); // changed back, or to another that is authentic
            }
            let error = match KeyBlock::parse(&changed) {
                Ok(block) => {
                    prop_assert_eq!(block.as_str(), &changed);
                    kbpk.open(&block, block.header().usage()).map(|_| ())
                }
                Err(error) => Err(error),
            };
            match error {
                Err(KeyBlockError::Authentication) => reached_mac.set(reached_mac.get() + 1),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
                Ok(()) => prop_assert!(false, "accepted"),
            }
            Ok(())
        })
        .unwrap();
    let reached_mac = reached_mac.get();
    println!("{wanted} mutations, 0 accepted, {reached_mac} of them refused by the MAC only");
    assert!(reached_mac > wanted / 10, "the mutations are too wild: {reached_mac} of {wanted}");
}

/// Blocks under one protection key.
struct Family {
    kbpk: Kbpk,
    texts: Vec<String>,
}

fn families() -> [Family; 5] {
    let kbpk = |algorithm, hex| Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
    [
        sealed(kbpk(KbpkAlgorithm::TdesDouble, TDES_DOUBLE), KeyBlockVersion::B),
        sealed(kbpk(KbpkAlgorithm::TdesTriple, TDES_TRIPLE), KeyBlockVersion::B),
        sealed(kbpk(KbpkAlgorithm::Aes256, AES_256), KeyBlockVersion::D),
        // TR-31:2018, A.7.2.1, and psec's test_kb_known_values.
        Family {
            kbpk: kbpk(KbpkAlgorithm::TdesDouble, "89E88CF7931444F334BD7547FC3F380C"),
            texts: vec![
                "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701".into(),
                "A0088P0TE00E00007DD4DD9566DC0E2F956DCAC0FDE91531\
                 59539373E9D82D3CD4AFD305A7EF1BA67FE03712"
                    .into(),
            ],
        },
        // TR-31:2018, A.7.3.1, and ANSI X9.143:2021, 8.4.1.
        Family {
            kbpk: kbpk(KbpkAlgorithm::TdesDouble, "B8ED59E0A279A295E9F5ED7944FD06B9"),
            texts: vec![
                "C0096B0TX12S0100KS1800604B120F9292800000\
                 BFB9B689CB567E66FC3FEE5AD5F52161FC6545B9D60989015D02155C"
                    .into(),
                "C0112B0TX12S0100KS1800604B120F9292800000\
                 42B758A2400AB598AE37782823DAF0BA4BDB0DAFF34915345CA169AE1F976A429EB139E5"
                    .into(),
            ],
        },
    ]
}

/// Blocks of one key under several headers, so that parts of one may stand in another.
fn sealed(kbpk: Kbpk, version: KeyBlockVersion) -> Family {
    let key = [0x3E; 16];
    let plain = |mode, export| KeyBlockHeader::cvk(version, mode, export);
    let verify = plain(ModeOfUse::Verify, Exportability::NonExportable);
    let label = |data| verify.clone().with_optional_block("LB", data).unwrap();
    let headers = [
        plain(ModeOfUse::Generate, Exportability::Exportable),
        plain(ModeOfUse::GenerateAndVerify, Exportability::Sensitive),
        label("issuer 7"),
        label("issuer 8").with_optional_block("TS", "20261122221500Z").unwrap(),
        label(&"long".repeat(80)),
        verify,
    ];
    let seal = |header: &KeyBlockHeader| {
        let padding: Vec<u8> = (1..).take(kbpk.padding_len(16, 24)).collect();
        kbpk.seal(header, &key, &padding).unwrap().to_string()
    };
    let texts = headers.iter().map(seal).collect();
    Family { kbpk, texts }
}

/// One change of a block's text. Places are chosen when the text is known.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit(Index, u32),
    Replace(Index, char),
    Field(usize, &'static str),
    Delete(Index, usize),
    Insert(Index, String),
    Truncate(Index),
    Extend(String),
    Swap(Index, Index),
    SwapRuns(Index, Index, usize),
    CopyRun(Index, Index, usize),
    TailOfOther(Index),
}

impl Mutation {
    fn apply(&self, text: &mut Vec<u8>, other: &[u8]) {
        if text.is_empty() {
            text.push(b'B');
        }
        let len = text.len();
        match self {
            Self::FlipBit(at, bit) => text[at.index(len)] ^= 1 << bit,
            Self::Replace(at, with) => text[at.index(len)] = *with as u8,
            Self::Field(at, value) => {
                let end = (at + value.len()).min(len);
                text.splice((*at).min(end)..end, value.bytes());
            }
            Self::Delete(at, count) => {
                let at = at.index(len);
                text.drain(at..(at + count).min(len));
            }
            Self::Insert(at, what) => {
                let at = at.index(len);
                text.splice(at..at, what.bytes());
            }
            Self::Truncate(at) => text.truncate(at.index(len)),
            Self::Extend(what) => text.extend(what.bytes()),
            Self::Swap(a, b) => text.swap(a.index(len), b.index(len)),
            Self::SwapRuns(a, b, run) => {
                let runs = len / run;
                if runs > 1 {
                    let [a, b] = [a, b].map(|at| at.index(runs) * run);
                    (0..*run).for_each(|i| text.swap(a + i, b + i));
                }
            }
            Self::CopyRun(from, to, run) => {
                let runs = len / run;
                if runs > 1 {
                    let from = from.index(runs) * run;
                    text.copy_within(from..from + run, to.index(runs) * run);
                }
            }
            Self::TailOfOther(at) => {
                let at = at.index(len.min(other.len()));
                text.splice(at.., other[at..].iter().copied());
            }
        }
    }
}

/// Makes the length field true again, so that the mutation is judged by what else it changed.
fn repair_length(text: &mut [u8]) {
    let length = format!("{:04}", text.len() % 10_000);
    if let Some(field) = text.get_mut(1..5) {
        field.copy_from_slice(length.as_bytes());
    }
}

fn mutated() -> impl Strategy<Value = (Index, [Index; 2], Vec<Mutation>, bool)> {
    (any::<Index>(), any::<[Index; 2]>(), prop::collection::vec(mutations(), 1..4), any::<bool>())
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    let runs = || select(vec![2, 4, 8, 16, 32]);
    prop_oneof![
        2 => (place(), 0..7_u32).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        4 => (place(), hex()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        2 => (place(), printable()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        4 => fields().prop_map(|(at, value)| Mutation::Field(at, value)),
        1 => (place(), 1..20_usize).prop_map(|(at, count)| Mutation::Delete(at, count)),
        1 => (place(), "[0-9A-F]{1,32}").prop_map(|(at, what)| Mutation::Insert(at, what)),
        1 => (place(), optional()).prop_map(|(at, what)| Mutation::Insert(at, what)),
        1 => place().prop_map(Mutation::Truncate),
        1 => "[0-9A-F]{1,64}".prop_map(Mutation::Extend),
        2 => (place(), place()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        2 => (place(), place(), runs()).prop_map(|(a, b, run)| Mutation::SwapRuns(a, b, run)),
        2 => (place(), place(), runs()).prop_map(|(a, b, run)| Mutation::CopyRun(a, b, run)),
        2 => place().prop_map(Mutation::TailOfOther),
    ]
}

fn hex() -> impl Strategy<Value = char> {
    select("0123456789ABCDEF".chars().collect::<Vec<_>>())
}

fn printable() -> impl Strategy<Value = char> {
    prop::char::range(' ', '~')
}

/// Values that header fields may have, where they stand.
fn fields() -> impl Strategy<Value = (usize, &'static str)> {
    select(vec![
        (0, "A"),
        (0, "B"),
        (0, "C"),
        (0, "D"),
        (5, "C0"),
        (5, "D0"),
        (5, "P0"),
        (7, "A"),
        (7, "D"),
        (7, "H"),
        (8, "C"),
        (8, "G"),
        (8, "N"),
        (8, "B"),
        (9, "01"),
        (9, "c1"),
        (11, "E"),
        (11, "N"),
        (11, "S"),
        (12, "00"),
        (12, "01"),
        (12, "02"),
        (12, "03"),
        (14, "1"),
        (14, "2"),
        (16, "KC0C0008D7B4"),
        (16, "LB10"),
        (18, "0004"),
        (18, "08"),
        (18, "10"),
    ])
}

fn optional() -> impl Strategy<Value = String> {
    ("[A-Z]{2}", "[ -~]{0,20}").prop_map(|(id, data)| format!("{id}{:02X}{data}", data.len() + 4))
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_is_the_same_text_again(
        aes in any::<bool>(),
        mode in select(vec!["C", "G", "V", "N", "B", "X"]),
        version in "[0-9A-Zabd-z][0-9A-Za-z]",
        labels in prop::collection::btree_map("[0-9A-OQ-Z][0-9A-Z]", "[ -~]{0,300}", 0..6),
        key in prop::collection::vec(any::<u8>(), 1..=16),
        masked in 0..=64_usize,
        filling in any::<u8>(),
        context in select(vec![
            KeyContext::ByProtectionKey,
            KeyContext::Storage,
            KeyContext::Exchange,
        ]),
    ) {
        let (algorithm, hex, block_version) = if aes {
            (KbpkAlgorithm::Aes128, AES_128, KeyBlockVersion::D)
        } else {
            (KbpkAlgorithm::TdesTriple, TDES_TRIPLE, KeyBlockVersion::B)
        };
        let kbpk = Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
        let mode = match mode {
            "C" => ModeOfUse::GenerateAndVerify,
            "G" => ModeOfUse::Generate,
            "V" => ModeOfUse::Verify,
            "N" => ModeOfUse::NoRestriction,
            "B" => ModeOfUse::EncryptAndDecrypt,
            _ => ModeOfUse::Derive,
        };
        let mut header = KeyBlockHeader::new(
            block_version,
            KeyUsage::HMAC,
            KeyAlgorithm::Hmac,
            mode,
            Exportability::Exportable,
        )
        .with_key_version(KeyVersion::parse(&version).unwrap())
        .with_context(context);
        for (id, data) in labels.iter().filter(|(id, _)| *id != "KC") {
            header = header.with_optional_block(id, data).unwrap();
        }
        // A protection key of 112 bits protects no more.
        let key = if aes { &key[..] } else { &key[..key.len().min(14)] };
        let padding = vec![filling; kbpk.padding_len(key.len(), masked)];

        let block = kbpk.seal(&header, key, &padding).unwrap();
        let read = KeyBlock::parse(block.as_str()).unwrap();
        prop_assert_eq!(&read, &block);
        prop_assert_eq!(read.header(), &header);
        let opened = kbpk.open(&read, KeyUsage::HMAC).unwrap();
        prop_assert_eq!(opened.expose(), key);
        let again = kbpk.seal(read.header(), opened.expose(), opened.padding()).unwrap();
        prop_assert_eq!(again, block);
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof!["\\PC{0,200}", "[ABCD][0-9]{4}[A-Z0-9]{8}0[0-9]00[ -~]{0,200}"],
        repaired in any::<bool>(),
    ) {
        let mut text = text.into_bytes();
        if repaired && text.is_ascii() {
            repair_length(&mut text);
        }
        let text = String::from_utf8(text).unwrap();
        match KeyBlock::parse(&text) {
            Ok(block) => prop_assert_eq!(block.as_str(), &text),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
