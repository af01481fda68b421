//! The process whose memory is read.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::{process, str};

use cvv2::key::{
    Exportability, Kbpk, KbpkAlgorithm, KeyBlock, KeyBlockHeader, KeyBlockVersion, ModeOfUse,
};
use cvv2::secret::{self, Protection};
use cvv2::{
    Component, CvkPair, Cvv, CvvLength, Expiry, ExpiryOrder, KcvMethod, Kernel, PackedCard, Pan,
    Policy, ServiceCode, Verdict,
};
use zeroize::Zeroize;

use crate::stage::Stage;
use crate::{forms, sandbox};

/// Does what the parent says, and waits after each thing while the parent reads memory.
pub(crate) fn run(kernel: &str, protection: &str) {
    let kernel = Kernel::by_name(kernel).expect("the parent has it from the same list");
    sandbox::cap(Protection::by_name(protection).expect("the parent has it from the same list"));
    let core_file = sandbox::want_core_file();
    // What a panic prints is not the matter here.
    panic::set_hook(Box::new(|_| {}));
    let (mut pair, mut controls) = (None, Vec::new());
    answer(b".");

    while let Some(stage) = next_stage() {
        match stage {
            Stage::Load => pair = Some(load(kernel)),
            Stage::Fill => fill(pair.as_ref().expect("it was loaded")),
            Stage::Use => return_values(pair.as_ref().expect("it was loaded")),
            Stage::Drop => pair = None,
            Stage::Combine => combine(kernel),
            Stage::RefusedText => load_wrong_text(),
            Stage::RefusedPolicy => load_bad_parity(),
            Stage::KeyBlock => take_out_of_key_blocks(kernel),
            Stage::RefusedKeyBlock => take_out_of_changed_key_blocks(kernel),
            Stage::ProtectionKey => protect(),
            Stage::Panic => panic_with_key(kernel),
            Stage::Plant => controls = plant(),
            Stage::ForbidCoreDumps => secret::forbid_core_dumps().expect("Linux can"),
            Stage::Abort => {
                core_file.as_ref().expect("the system may write core files");
                process::abort();
            }
        }
        let protection = pair.as_ref().map_or(".", |pair: &CvkPair| pair.protection().name());
        answer(&protection.as_bytes()[..1]);
    }
    drop(black_box(controls));
}

#[inline(never)]
fn load(kernel: Kernel) -> CvkPair {
    let mut key = receive_key();
    let pair = CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::Strict);
    key.zeroize();
    pair.expect("the key is a good one").with_kernel(kernel)
}

/// The key and zeros are the components: so the parent sees it if a component is left.
#[inline(never)]
fn combine(kernel: Kernel) {
    let mut key = receive_key();
    let mut text = hex(&key);
    key.zeroize();
    let parts = [str::from_utf8(&*text).expect("digits"), "00000000000000000000000000000000"]
        .map(|text| Component::from_hex(text).expect("a component"));
    text.zeroize();
    let pair = CvkPair::from_components(&parts, ExpiryOrder::YyMm, Policy::Strict);
    fill(&pair.expect("the key is a good one").with_kernel(kernel));
}

#[inline(never)]
fn load_wrong_text() {
    let mut key = receive_key();
    let mut text = hex(&key);
    key.zeroize();
    text[31] = b'G';
    let refused = CvkPair::from_hex(
        str::from_utf8(&*text).expect("letters"),
        ExpiryOrder::YyMm,
        Policy::Strict,
    );
    text.zeroize();
    assert!(refused.is_err());
}

#[inline(never)]
fn load_bad_parity() {
    let mut key = receive_key();
    key[15] ^= 1;
    let refused = CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::Strict);
    key.zeroize();
    assert!(refused.is_err());
}

#[inline(never)]
fn take_out_of_key_blocks(kernel: Kernel) {
    let pair = load(kernel);
    for (algorithm, version) in PROTECTIONS {
        let kbpk = test_kbpk(algorithm);
        let block = key_block(&pair, version, &kbpk);
        let taken = CvkPair::from_key_block(&block, &kbpk, ExpiryOrder::YyMm);
        fill(&taken.expect("the block is authentic").with_kernel(kernel));
    }
}

#[inline(never)]
fn take_out_of_changed_key_blocks(kernel: Kernel) {
    let pair = load(kernel);
    for (algorithm, version) in PROTECTIONS {
        let kbpk = test_kbpk(algorithm);
        let mut text = key_block(&pair, version, &kbpk).as_str().to_owned();
        let last = text.pop().expect("a block has letters");
        text.push(if last == '0' { '1' } else { '0' });
        let block = KeyBlock::parse(&text).expect("it still is one to look at");
        assert!(CvkPair::from_key_block(&block, &kbpk, ExpiryOrder::YyMm).is_err());
    }
}

/// The parent's key is the protection key here, of either algorithm.
#[inline(never)]
fn protect() {
    let mut key = receive_key();
    let mut text = hex(&key);
    key.zeroize();
    let pair = CvkPair::from_hex(TEST_KEY, ExpiryOrder::YyMm, Policy::Strict).expect("a key");
    for (algorithm, version) in PROTECTIONS {
        let digits = str::from_utf8(&*text).expect("digits");
        let kbpk = Kbpk::from_hex(algorithm, digits, Protection::Wiped).expect("a key");
        let block = key_block(&pair, version, &kbpk);
        let taken = CvkPair::from_key_block(&block, &kbpk, ExpiryOrder::YyMm);
        assert!(taken.is_ok());
    }
    text.zeroize();
}

fn key_block(pair: &CvkPair, version: KeyBlockVersion, kbpk: &Kbpk) -> KeyBlock {
    let header =
        KeyBlockHeader::cvk(version, ModeOfUse::GenerateAndVerify, Exportability::Exportable);
    pair.to_key_block(&header, kbpk, &[0x5A; 14]).expect("the key may go")
}

fn test_kbpk(algorithm: KbpkAlgorithm) -> Kbpk {
    Kbpk::from_hex(algorithm, TEST_KBPK, Protection::Wiped).expect("a key")
}

#[inline(never)]
fn panic_with_key(kernel: Kernel) {
    let caught = panic::catch_unwind(AssertUnwindSafe(|| {
        let pair = load(kernel);
        fill(&pair);
        return_values(&pair);
        panic!("while a key is alive");
    }));
    assert!(caught.is_err());
}

/// Puts the two parts of a key together where it stays until it is wiped.
#[inline(never)]
#[expect(clippy::unnecessary_box_returns, reason = "returned by value it would be copied")]
fn receive_key() -> Box<[u8; 16]> {
    let mut key = Box::new([0; 16]);
    let mut pad = [0; 16];
    let mut stdin = io::stdin().lock();
    stdin.read_exact(&mut *key).expect("the parent sends a key");
    stdin.read_exact(&mut pad).expect("the parent sends a key");
    for (byte, pad) in key.iter_mut().zip(pad) {
        *byte ^= pad;
    }
    key
}

/// Numbers of cards that make every pass of a kernel run, and every number of digits.
#[inline(never)]
fn fill(pair: &CvkPair) {
    for digits in CvvLength::MIN..=CvvLength::MAX {
        let length = CvvLength::new(digits).expect("1 to 5 digits");
        for count in [600, 64, 2, 1] {
            let mut out = vec![Cvv::EMPTY; count];
            let cards = vec![card(pair); count];
            pair.generate_many(&cards, length, &mut out).expect("the kernel computes");
        }
    }
}

/// One card, verifications, and both check values.
#[inline(never)]
fn return_values(pair: &CvkPair) {
    let card = card(pair);
    let cvv = pair.generate(&card, CvvLength::THREE).expect("the kernel computes");
    assert!(pair.verify(&card, &cvv).expect("the kernel computes") == Verdict::Match);
    black_box([KcvMethod::Cmac, KcvMethod::TdesZeros].map(|method| pair.kcv(method)));
}

fn card(pair: &CvkPair) -> PackedCard {
    let pan = Pan::parse("4123456789012345").expect("a PAN");
    let expiry = Expiry::parse_yymm("2912").expect("an expiry");
    pair.pack(&pan, &expiry, &ServiceCode::CVV2)
}

/// Writes a key to memory in every form.
#[inline(never)]
fn plant() -> Vec<Vec<u8>> {
    let mut key = receive_key();
    let controls = forms::controls(&key);
    key.zeroize();
    black_box(controls)
}

/// A key as a text in a place of its own, without a look-up in anything else.
#[expect(clippy::unnecessary_box_returns, reason = "returned by value it would be copied")]
fn hex(key: &[u8; 16]) -> Box<[u8; 32]> {
    let mut text = Box::new([0; 32]);
    for (at, digit) in text.iter_mut().enumerate() {
        let nibble = key[at / 2] >> (4 * (1 - at % 2)) & 0xF;
        *digit = nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
    }
    text
}

/// None once the parent has gone.
fn next_stage() -> Option<Stage> {
    let mut code = [0];
    io::stdin().lock().read_exact(&mut code).ok()?;
    Some(Stage::by_code(code[0]).expect("the parent has it from the same list"))
}

fn answer(letter: &[u8]) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(letter).and_then(|()| stdout.flush()).expect("the parent reads");
}

const PROTECTIONS: [(KbpkAlgorithm, KeyBlockVersion); 2] =
    [(KbpkAlgorithm::TdesDouble, KeyBlockVersion::B), (KbpkAlgorithm::Aes128, KeyBlockVersion::D)];

/// Keys that the parent does not look for.
const TEST_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const TEST_KBPK: &str = "89E88CF7931444F334BD7547FC3F380C";
