//! Card verification keys in key blocks.

use super::*;

fn card() -> (Pan, Expiry) {
    (Pan::parse("4123456789012345").unwrap(), Expiry::parse_yymm("2701").unwrap())
}

fn exported(mode: ModeOfUse) -> KeyBlock {
    cvk().to_key_block(&cvk_header(mode), &kbpk(D_KBPK), &PADDING).unwrap()
}

#[test]
fn the_mode_of_use_is_what_the_key_does() {
    let (pan, expiry) = card();
    for (mode, generates, verifies) in [
        (ModeOfUse::GenerateAndVerify, true, true),
        (ModeOfUse::NoRestriction, true, true),
        (ModeOfUse::Generate, true, false),
        (ModeOfUse::Verify, false, true),
    ] {
        let key = import(&exported(mode)).unwrap();
        assert_eq!(key.mode_of_use(), mode);
        let generated = key.cvv2(&pan, &expiry).map(|cvv| cvv.expose().as_str() == "878");
        let verified = key.verify_cvv2(&pan, &expiry, "878").map(|v| v == Verdict::Match);
        let not_generating = ComputeError::NotForGenerating;
        let not_verifying = VerifyError::Compute(ComputeError::NotForVerifying);
        assert_eq!(generated, if generates { Ok(true) } else { Err(not_generating) });
        assert_eq!(verified, if verifies { Ok(true) } else { Err(not_verifying) });
    }
    assert_eq!(cvk().mode_of_use(), ModeOfUse::NoRestriction);
}

#[test]
fn a_key_of_another_mode_algorithm_or_length_is_refused() {
    for mode in [ModeOfUse::Encrypt, ModeOfUse::Derive, ModeOfUse::Sign] {
        let header = cvk_header(mode);
        let error = KeyBlockError::NotForUsage { field: HeaderField::ModeOfUse };
        assert_eq!(import(&seal(&header, &[0x31; 16])).unwrap_err(), error);
        let refused = cvk().to_key_block(&header, &kbpk(D_KBPK), &PADDING);
        assert_eq!(refused.unwrap_err(), error);
    }
    let aes = KeyBlockHeader::new(
        KeyBlockVersion::D,
        KeyUsage::CARD_VERIFICATION,
        KeyAlgorithm::Aes,
        ModeOfUse::Generate,
        Exportability::Exportable,
    );
    let error = KeyBlockError::NotForUsage { field: HeaderField::Algorithm };
    assert_eq!(import(&seal(&aes, &[0x31; 16])).unwrap_err(), error);
    for bytes in [8, 24] {
        let block = seal(&cvk_header(ModeOfUse::Generate), &vec![0x31; bytes]);
        assert_eq!(import(&block).unwrap_err(), KeyBlockError::KeyLength { bytes });
    }
}

#[test]
fn the_policy_is_strict_but_for_test_vectors() {
    let block = seal(&cvk_header(ModeOfUse::Generate), &[0x31; 16]);
    let equal = KeyBlockError::Key(KeyError::EqualHalves);
    assert_eq!(import(&block).unwrap_err(), equal);
    let (kbpk, order) = (kbpk(D_KBPK), ExpiryOrder::YyMm);
    cvk_from_key_block(&block, &kbpk, order, Policy::TestVectors).unwrap();
}

#[test]
fn an_export_allows_no_more_than_the_import_did() {
    use Exportability::*;
    use ModeOfUse::*;
    let header = |mode, exportability| cvk_header(mode).with_exportability(exportability);
    let looser = |field| Err(KeyBlockError::Looser { field });
    for (own, new, expected) in [
        (header(Generate, Exportable), header(Generate, Exportable), Ok(())),
        (header(Generate, Exportable), header(Generate, NonExportable), Ok(())),
        (header(GenerateAndVerify, Sensitive), header(Verify, Exportable), Ok(())),
        (header(GenerateAndVerify, Sensitive), header(NoRestriction, Sensitive), Ok(())),
        (header(Generate, Exportable), header(Verify, Exportable), looser(HeaderField::ModeOfUse)),
        (
            header(Verify, Exportable),
            header(GenerateAndVerify, Exportable),
            looser(HeaderField::ModeOfUse),
        ),
        (
            header(Verify, Exportable),
            header(NoRestriction, Exportable),
            looser(HeaderField::ModeOfUse),
        ),
        (header(Verify, Exportable), header(Verify, Sensitive), looser(HeaderField::Exportability)),
        (
            header(Verify, NonExportable),
            header(Verify, NonExportable),
            Err(KeyBlockError::NotExportable),
        ),
    ] {
        let kbpk = kbpk(D_KBPK);
        let key = import(&cvk().to_key_block(&own, &kbpk, &PADDING).unwrap()).unwrap();
        assert_eq!(key.key_block_header(), Some(&own));
        let block = key.to_key_block(&new, &kbpk, &PADDING);
        assert_eq!(block.map(|_| ()), expected, "{own:?} {new:?}");
    }
}

#[test]
fn an_export_keeps_to_the_context_of_the_import() {
    use KeyContext::*;
    let header = |context| cvk_header(ModeOfUse::Verify).with_context(context);
    let kbpk = kbpk(D_KBPK);
    for own in [ByProtectionKey, Storage, Exchange] {
        let key = import(&cvk().to_key_block(&header(own), &kbpk, &PADDING).unwrap()).unwrap();
        for new in [ByProtectionKey, Storage, Exchange] {
            let expected = if own == ByProtectionKey || own == new {
                Ok(())
            } else {
                Err(KeyBlockError::Looser { field: HeaderField::KeyContext })
            };
            let block = key.to_key_block(&header(new), &kbpk, &PADDING);
            assert_eq!(block.map(|_| ()), expected, "{own:?} {new:?}");
        }
    }
}

#[test]
fn a_key_is_exported_for_card_verification_only() {
    let header = KeyBlockHeader::new(
        KeyBlockVersion::D,
        KeyUsage::DATA_ENCRYPTION,
        KeyAlgorithm::Tdes,
        ModeOfUse::Generate,
        Exportability::Exportable,
    );
    let error = cvk().to_key_block(&header, &kbpk(D_KBPK), &PADDING).unwrap_err();
    assert_eq!(error, KeyBlockError::Usage { wanted: KeyUsage::CARD_VERIFICATION });
}

#[test]
fn the_padding_fits_both_versions() {
    let b = KeyBlockHeader::cvk(
        KeyBlockVersion::B,
        ModeOfUse::GenerateAndVerify,
        Exportability::Exportable,
    );
    let block = cvk().to_key_block(&b, &kbpk(B_KBPK), &PADDING).unwrap();
    assert_eq!(block.as_str().len(), 96);
    let key = CvkPair::from_key_block(&block, &kbpk(B_KBPK), ExpiryOrder::MmYy).unwrap();
    assert_eq!(key.kcv(KcvMethod::TdesZeros), cvk().kcv(KcvMethod::TdesZeros));
    assert_eq!(exported(ModeOfUse::Verify).as_str().len(), 112);
}
