mod card_verification_keys;
mod header;
mod opening;
mod protection_keys;
mod text;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use cmac::{Cmac, KeyInit, Mac};

use super::*;
use crate::card::{Expiry, ExpiryOrder, Pan};
use crate::cvv::{ComputeError, Verdict, VerifyError};
use crate::hazmat::cvk_from_key_block;
use crate::key::{CvkPair, KcvMethod, KeyError, Policy};
use crate::secret::Protection;

/// TR-31:2018, A.7.3.2: a block with an optional block.
const B_KBPK: &str = "1D22BF32387C600AD97F9B97A51311AC";
const B: &str = "B0104B0TX12S0100KS1800604B120F9292800000\
                 BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627";
/// TR-31:2018, A.7.2.1 and A.7.3.1: blocks of the variant method.
const A_KBPK: &str = "89E88CF7931444F334BD7547FC3F380C";
const A: &str = "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701";
const C_KBPK: &str = "B8ED59E0A279A295E9F5ED7944FD06B9";
const C: &str = "C0096B0TX12S0100KS1800604B120F9292800000\
                 BFB9B689CB567E66FC3FEE5AD5F52161FC6545B9D60989015D02155C";
/// TR-31:2018, A.7.4: an AES key under AES.
const D_KBPK: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
const D: &str = "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D2\
                 07E2E417C07156A27E8E31DA05F7425509593D03A457DC34";

const CVK: &str = "0123456789ABCDEFFEDCBA9876543210";
const PADDING: [u8; 14] = [0x5A; 14];

fn kbpk(hex: &str) -> Kbpk {
    let algorithm = if hex.len() == 64 { KbpkAlgorithm::Aes256 } else { KbpkAlgorithm::TdesDouble };
    Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap()
}

fn usage(text: &str) -> KeyUsage {
    KeyUsage::parse(text).unwrap()
}

fn cvk() -> CvkPair {
    CvkPair::from_hex(CVK, ExpiryOrder::YyMm, Policy::Strict).unwrap()
}

fn cvk_header(mode: ModeOfUse) -> KeyBlockHeader {
    KeyBlockHeader::cvk(KeyBlockVersion::D, mode, Exportability::Exportable)
}

fn import(block: &KeyBlock) -> Result<CvkPair, KeyBlockError> {
    CvkPair::from_key_block(block, &kbpk(D_KBPK), ExpiryOrder::YyMm)
}

/// A block of any bytes under any header that fits them.
fn seal(header: &KeyBlockHeader, key: &[u8]) -> KeyBlock {
    let kbpk = kbpk(D_KBPK);
    kbpk.seal(header, key, &vec![0x5A; kbpk.padding_len(key.len(), 0)]).unwrap()
}
