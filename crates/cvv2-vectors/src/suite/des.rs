//! `des.json`: known answers of DES and triple DES, encrypted and decrypted.

use cvv2::Kernel;
use cvv2::hazmat::DesKey;
use serde::Deserialize;

use super::hex_bytes::{HexBytes, upper_hex};
use super::{Ask, Attempt};
use crate::file::{Head, Source, VectorTest, vector_group, vector_test};
use crate::outcome::Outcome;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownAnswers {
    source: Source,
    cipher: Cipher,
    tests: Vec<DesTest>,
}

vector_group!(KnownAnswers, DesTest);

vector_test! {
    DesTest {
        key: HexBytes,
        plaintext: HexBytes,
        ciphertext: HexBytes,
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Cipher {
    Des,
    Tdes,
}

impl VectorTest for DesTest {
    fn head(&self) -> Head<'_> {
        self.shared()
    }

    fn answer(&self) -> Vec<Option<String>> {
        vec![Some(self.ciphertext.to_string())]
    }
}

impl Ask for KnownAnswers {
    fn ask(&self, test: &DesTest, _kernels: &[Kernel]) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for (name, key) in same_keys(self.cipher, &test.key) {
            let Some(key) = DesKey::from_slice(&key) else { continue };
            let encrypted = each_block(&test.plaintext, |block| key.encrypt(block));
            let decrypted = each_block(&test.ciphertext, |block| key.decrypt(block));
            let plaintext = Outcome::Answer(test.plaintext.to_string());
            attempts.push(Attempt::new(format!("encrypt, {name}"), test.expected(), encrypted));
            attempts.push(Attempt::new(format!("decrypt, {name}"), plaintext, decrypted));
        }
        attempts
    }
}

/// The key in every length in which it is the same cipher: a single-length key K is also K-K and
/// K-K-K, a triple-length key K-L-K is also the double-length key K-L.
fn same_keys(cipher: Cipher, key: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    match (cipher, key.len()) {
        (Cipher::Des, 8) => {
            vec![("single", key.to_vec()), ("double", key.repeat(2)), ("triple", key.repeat(3))]
        }
        (Cipher::Tdes, 24) if key[..8] == key[16..] => {
            vec![("triple", key.to_vec()), ("double", key[..16].to_vec())]
        }
        (Cipher::Tdes, 24) => vec![("triple", key.to_vec())],
        _ => Vec::new(),
    }
}

/// The blocks of `text`, each put through `cipher`; a rest that is no block stays out.
fn each_block(text: &[u8], cipher: impl Fn(&mut [u8; 8])) -> Outcome {
    let (blocks, _) = text.as_chunks::<8>();
    let mut out = blocks.to_vec();
    out.iter_mut().for_each(cipher);
    Outcome::Answer(upper_hex(out.as_flattened()))
}
