//! Card verification keys in key blocks.

use alloc::boxed::Box;

use zeroize::Zeroize;

use super::KeyBlock;
use super::error::{HeaderField, KeyBlockError};
use super::field::{Exportability, KeyAlgorithm, KeyContext, KeyUsage, ModeOfUse};
use super::header::KeyBlockHeader;
use super::kbpk::Kbpk;
use super::open::LENGTH;
use crate::card::ExpiryOrder;
use crate::kernel::KeyMaterial;
use crate::key::{CvkPair, Policy};

impl CvkPair {
    /// Bytes of random padding that [`to_key_block`](Self::to_key_block) takes.
    ///
    /// They make a double-length key as long as a triple-length one, in versions B and D alike.
    pub const KEY_BLOCK_PADDING_LEN: usize = 14;

    /// Takes the key out of a key block, under [`Policy::Strict`].
    ///
    /// The block has to be for card verification (`C0`), of a double-length triple-DES key, and for
    /// generating, verifying or both; the pair does no more than that from here on. A single-length
    /// key is half of a pair, and a triple-length one is none: both are refused.
    ///
    /// ```
    /// use cvv2::key::{Kbpk, KbpkAlgorithm};
    /// use cvv2::secret::Protection;
    /// use cvv2::{ComputeError, CvkPair, Expiry, ExpiryOrder, KeyBlock, Pan, Verdict};
    ///
    /// let hex = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    /// let kbpk = Kbpk::from_hex(KbpkAlgorithm::Aes256, hex, Protection::Wiped)?;
    /// let block = KeyBlock::parse(
    ///     "D0112C0TV00E0000564FB8739FD753638B66CBA3D58E0CBE3B4792AA43F9430D\
    ///      713867CC12014BBFE52417E0C5B303469139831390248672",
    /// )?;
    /// let cvk = CvkPair::from_key_block(&block, &kbpk, ExpiryOrder::YyMm)?;
    ///
    /// // Its mode of use is V: it verifies and does not generate.
    /// let (pan, expiry) = (Pan::parse("4123456789012345")?, Expiry::parse_yymm("2701")?);
    /// assert_eq!(cvk.verify_cvv2(&pan, &expiry, "878")?, Verdict::Match);
    /// assert_eq!(cvk.cvv2(&pan, &expiry).unwrap_err(), ComputeError::NotForGenerating);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Kbpk::open`]; then [`KeyBlockError::NotForUsage`] for another algorithm or mode of use,
    /// [`KeyBlockError::KeyLength`] for another length, [`KeyBlockError::Key`] for what the policy
    /// refuses.
    pub fn from_key_block(
        block: &KeyBlock,
        kbpk: &Kbpk,
        order: ExpiryOrder,
    ) -> Result<Self, KeyBlockError> {
        Self::from_key_block_under(block, kbpk, order, Policy::Strict)
    }

    /// As [`from_key_block`](Self::from_key_block), under any policy.
    pub(crate) fn from_key_block_under(
        block: &KeyBlock,
        kbpk: &Kbpk,
        order: ExpiryOrder,
        policy: Policy,
    ) -> Result<Self, KeyBlockError> {
        // Opened where the key is to stay: pages of secret memory are slow to come by.
        let mut material = KeyMaterial::zeros(kbpk.at_least())?;
        let (bytes, payload) = material.load();
        let key_len = kbpk.open_into(block, KeyUsage::CARD_VERIFICATION, payload)?;
        let header = block.header();
        check_fields(header)?;
        if key_len != Self::LEN {
            return Err(KeyBlockError::KeyLength { bytes: key_len });
        }
        bytes.copy_from_slice(&payload[LENGTH..][..key_len]);
        payload.zeroize();
        let pair = Self::accept(material, order, policy)?;
        Ok(Self { header: Some(Box::new(header.clone())), ..pair })
    }

    /// Makes a key block of the key, of version B or D as the protection key wants it.
    ///
    /// `header` is the caller's, or what the key was [imported with](Self::key_block_header); it
    /// cannot allow more than that. `padding` is random: the library has no generator.
    ///
    /// # Errors
    ///
    /// [`KeyBlockError::NotExportable`] for a key that came in as such;
    /// [`KeyBlockError::Looser`] for a header that allows more than the key's own;
    /// [`KeyBlockError::Usage`] and [`KeyBlockError::NotForUsage`] for the header of no card
    /// verification key; and as [`Kbpk::seal`].
    pub fn to_key_block(
        &self,
        header: &KeyBlockHeader,
        kbpk: &Kbpk,
        padding: &[u8; Self::KEY_BLOCK_PADDING_LEN],
    ) -> Result<KeyBlock, KeyBlockError> {
        if header.usage() != KeyUsage::CARD_VERIFICATION {
            return Err(KeyBlockError::Usage { wanted: KeyUsage::CARD_VERIFICATION });
        }
        check_fields(header)?;
        if let Some(own) = self.key_block_header() {
            if own.exportability() == Exportability::NonExportable {
                return Err(KeyBlockError::NotExportable);
            }
            refuse_looser(own, header)?;
        }
        kbpk.seal(header, self.material().bytes(), padding)
    }

    /// The header that the key was imported with, if it came in a key block.
    #[must_use]
    pub fn key_block_header(&self) -> Option<&KeyBlockHeader> {
        self.header.as_deref()
    }

    /// What the key may be used for. A key that did not come in a key block has no restriction.
    #[must_use]
    pub fn mode_of_use(&self) -> ModeOfUse {
        self.header.as_ref().map_or(ModeOfUse::NoRestriction, |header| header.mode())
    }
}

/// Refuses what no card verification key is.
fn check_fields(header: &KeyBlockHeader) -> Result<(), KeyBlockError> {
    let mode = header.mode();
    if header.algorithm() != KeyAlgorithm::Tdes {
        return Err(KeyBlockError::NotForUsage { field: HeaderField::Algorithm });
    }
    if !mode.may_generate() && !mode.may_verify() {
        return Err(KeyBlockError::NotForUsage { field: HeaderField::ModeOfUse });
    }
    Ok(())
}

/// Refuses a header that allows what `own` does not.
fn refuse_looser(own: &KeyBlockHeader, new: &KeyBlockHeader) -> Result<(), KeyBlockError> {
    let (own_mode, new_mode) = (own.mode(), new.mode());
    let generates = new_mode.may_generate() && !own_mode.may_generate();
    let verifies = new_mode.may_verify() && !own_mode.may_verify();
    let field = if generates || verifies {
        HeaderField::ModeOfUse
    } else if new.exportability() > own.exportability() {
        HeaderField::Exportability
    } else if own.context() != KeyContext::ByProtectionKey && new.context() != own.context() {
        // Storage is not exchange, nor the other way round, and no context stands for both.
        HeaderField::KeyContext
    } else {
        return Ok(());
    };
    Err(KeyBlockError::Looser { field })
}
