//! No text that the fuzzer makes of authentic blocks, or of nothing, opens but those blocks.
//!
//! The length field is set right first, which a fuzzer seldom does by itself.
#![no_main]

use std::sync::LazyLock;

use cvv2::KeyBlock;
use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::Protection;
use libfuzzer_sys::fuzz_target;

static KBPKS: LazyLock<[Kbpk; 2]> = LazyLock::new(|| {
    [
        (KbpkAlgorithm::TdesDouble, "1D22BF32387C600AD97F9B97A51311AC"),
        (KbpkAlgorithm::Aes256, "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6"),
    ]
    .map(|(algorithm, hex)| Kbpk::from_hex(algorithm, hex, Protection::Wiped).expect("a key"))
});

/// The seeds that are blocks under these keys.
const AUTHENTIC: [&str; 11] = [
    include_str!("../seeds/key_block/d_published_06"),
    include_str!("../seeds/key_block/b_published_09"),
    include_str!("../seeds/key_block/b_published_17"),
    include_str!("../seeds/key_block/d_published_20"),
    include_str!("../seeds/key_block/b_check_value"),
    include_str!("../seeds/key_block/b_label"),
    include_str!("../seeds/key_block/b_long"),
    include_str!("../seeds/key_block/d_check_value"),
    include_str!("../seeds/key_block/d_label"),
    include_str!("../seeds/key_block/d_long"),
    include_str!("../seeds/key_block/d_hmac"),
];

fuzz_target!(|text: &str| {
    let mut text = text.to_owned();
    if text.is_ascii() && (5..10_000).contains(&text.len()) {
        text.replace_range(1..5, &format!("{:04}", text.len()));
    }
    let Ok(block) = KeyBlock::parse(&text) else { return };
    for kbpk in &*KBPKS {
        if kbpk.open(&block, block.header().usage()).is_ok() {
            assert!(AUTHENTIC.contains(&text.as_str()), "accepted {text}");
        }
    }
});
