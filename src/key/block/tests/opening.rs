//! From a block to its key and back.

use super::*;

#[test]
fn every_failure_of_authentication_is_the_same_error() {
    for (text, key, usage_text) in
        [(A, A_KBPK, "P0"), (B, B_KBPK, "B0"), (C, C_KBPK, "B0"), (D, D_KBPK, "P0")]
    {
        let block = KeyBlock::parse(text).unwrap();
        kbpk(key).open(&block, usage(usage_text)).unwrap();

        let mut other = key.to_owned();
        other.replace_range(0..2, "20");
        let error = kbpk(&other).open(&block, usage(usage_text)).unwrap_err();
        assert_eq!(error, KeyBlockError::Authentication);

        let mac_at = block.mac_at();
        // Usage, mode, key version, exportability, ciphertext, MAC.
        for at in [5, 8, 9, 11, block.header_chars, mac_at - 1, mac_at, text.len() - 1] {
            for with in '0'..='Z' {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, &with.to_string());
                let Ok(parsed) = KeyBlock::parse(&changed) else { continue };
                if changed == text {
                    continue;
                }
                for wanted in [usage(usage_text), parsed.header().usage()] {
                    let error = kbpk(key).open(&parsed, wanted).unwrap_err();
                    assert_eq!(error, KeyBlockError::Authentication, "{at} {with}");
                }
            }
        }
    }
}

#[test]
fn padding_is_kept_so_that_the_same_block_can_be_made_again() {
    for (text, key, usage_text) in [(B, B_KBPK, "B0"), (D, D_KBPK, "P0")] {
        let (block, kbpk) = (KeyBlock::parse(text).unwrap(), kbpk(key));
        let opened = kbpk.open(&block, usage(usage_text)).unwrap();
        let again = kbpk.seal(block.header(), opened.expose(), opened.padding()).unwrap();
        assert_eq!(again, block);
    }
}

#[test]
fn a_protection_key_of_the_other_cipher_is_named() {
    for (text, key) in [(A, D_KBPK), (B, D_KBPK), (C, D_KBPK), (D, B_KBPK)] {
        let (block, kbpk) = (KeyBlock::parse(text).unwrap(), kbpk(key));
        let (version, algorithm) = (block.header().version(), kbpk.algorithm());
        let error = kbpk.open(&block, block.header().usage()).unwrap_err();
        assert_eq!(error, KeyBlockError::KbpkAlgorithm { version, algorithm });
    }
}

#[test]
fn an_authentic_block_of_another_usage_or_of_a_component_is_refused() {
    let block = KeyBlock::parse(B).unwrap();
    let wanted = KeyUsage::CARD_VERIFICATION;
    let error = kbpk(B_KBPK).open(&block, wanted).unwrap_err();
    assert_eq!(error, KeyBlockError::Usage { wanted });

    let component = KeyVersion::parse("c1").unwrap();
    let header = cvk_header(ModeOfUse::Verify).with_key_version(component);
    assert_eq!(import(&seal(&header, &[0x31; 16])).unwrap_err(), KeyBlockError::Component);
}

#[test]
fn an_impossible_length_before_the_key_is_refused_after_authentication() {
    let kbpk = kbpk(D_KBPK);
    let header = cvk_header(ModeOfUse::Verify);
    for (bits, error) in [
        (129_u16, KeyBlockError::KeyLengthField),
        (247, KeyBlockError::KeyLengthField),
        (248, KeyBlockError::KeyLengthField),
        (u16::MAX - 7, KeyBlockError::KeyLengthField),
        (0, KeyBlockError::KeyLength { bytes: 0 }),
        (240, KeyBlockError::KeyLength { bytes: 30 }),
    ] {
        let mut payload = [0x31; 32];
        payload[..2].copy_from_slice(&bits.to_be_bytes());
        let mut text = header.text(2 * (32 + 16)).unwrap();
        let mut mac = [0; 16];
        kbpk.authenticate(&text, &payload, &mut mac);
        kbpk.algorithm().cipher().encrypt(kbpk.encryption(), &mac, &mut payload);
        text += &hex::encode_upper(payload);
        text += &hex::encode_upper(mac);
        let block = KeyBlock::parse(&text).unwrap();
        assert_eq!(kbpk.open(&block, header.usage()).unwrap_err(), error, "{bits}");
    }
}

#[test]
fn what_is_not_a_key_of_its_algorithm_is_not_sealed() {
    let header = KeyBlockHeader::new(
        KeyBlockVersion::D,
        KeyUsage::DATA_ENCRYPTION,
        KeyAlgorithm::Aes,
        ModeOfUse::EncryptAndDecrypt,
        Exportability::NonExportable,
    );
    let kbpk = kbpk(D_KBPK);
    for bytes in [0, 8, 15, 17, 33, 64, 65, 1000] {
        let error = kbpk.seal(&header, &vec![1; bytes], &PADDING).unwrap_err();
        assert_eq!(error, KeyBlockError::KeyLength { bytes });
    }
    for bytes in [0, 13, 15, 142] {
        let error = kbpk.seal(&header, &[1; 32], &vec![1; bytes]).unwrap_err();
        assert_eq!(error, KeyBlockError::Padding { bytes });
    }
    for version in [KeyBlockVersion::A, KeyBlockVersion::C] {
        let header = header.clone().with_version(version);
        let error = kbpk.seal(&header, &[1; 32], &PADDING).unwrap_err();
        assert_eq!(error, KeyBlockError::ReadOnly { version });
    }
    let short = Kbpk::from_hex(KbpkAlgorithm::Aes128, CVK, Protection::Wiped).unwrap();
    let error = short.seal(&header, &[1; 32], &PADDING).unwrap_err();
    assert_eq!(error, KeyBlockError::WeakerKbpk { algorithm: KbpkAlgorithm::Aes128 });
    short.seal(&header, &[1; 16], &PADDING).unwrap();
}

#[test]
fn every_length_of_key_and_mask_round_trips() {
    let usage = KeyUsage::HMAC;
    for algorithm in KbpkAlgorithm::ALL {
        let hex = &"0123456789ABCDEFFEDCBA98765432101032547698BADCFE1133557799BBDDFF"
            [..2 * algorithm.key_len()];
        let kbpk = Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
        let version = if algorithm.is_aes() { KeyBlockVersion::D } else { KeyBlockVersion::B };
        let header = KeyBlockHeader::new(
            version,
            usage,
            KeyAlgorithm::Hmac,
            ModeOfUse::GenerateAndVerify,
            Exportability::Exportable,
        );
        for key_len in 1..=Kbpk::KEY_BYTES_MAX {
            for masked in [0, 24, 32, 64, 100] {
                let key: Vec<_> = (1..=255).take(key_len).collect();
                let padding = vec![0xA5; kbpk.padding_len(key_len, masked)];
                let block = match kbpk.seal(&header, &key, &padding) {
                    Err(KeyBlockError::WeakerKbpk { .. }) => {
                        assert!(8 * key_len > algorithm.strength() as usize);
                        continue;
                    }
                    block => block.unwrap(),
                };
                let read = KeyBlock::parse(block.as_str()).unwrap();
                let opened = kbpk.open(&read, usage).unwrap();
                assert_eq!((opened.expose(), opened.padding()), (&key[..], &padding[..]));
            }
        }
    }
}

#[test]
fn a_stated_check_value_is_checked() {
    // The key's check values: 08D7B4 by zeros; by CMAC as its own method computes.
    let key = hex::decode(CVK).unwrap();
    let cmac = cvk().kcv(KcvMethod::Cmac).to_string();
    for (data, accepted) in [
        ("0008D7B4".to_owned(), true),
        ("0008D7".to_owned(), true),
        (format!("01{cmac}"), true),
        (format!("01{}", &cmac[..4]), true),
        ("0008D7B5".to_owned(), false),
        ("0108D7B4".to_owned(), false),
        ("0208D7B4".to_owned(), false),
        ("0008".to_owned(), false),
        ("0008D7B".to_owned(), false),
        ("0008d7b4".to_owned(), false),
        ("00".to_owned(), false),
        ("0".to_owned(), false),
        (String::new(), false),
    ] {
        let header = cvk_header(ModeOfUse::Verify).with_optional_block("KC", &data).unwrap();
        let sealed = kbpk(D_KBPK).seal(&header, &key, &PADDING);
        assert_eq!(sealed.is_ok(), accepted, "{data}");
        if let Err(error) = sealed {
            assert_eq!(error, KeyBlockError::CheckValue);
        } else {
            import(&sealed.unwrap()).unwrap();
        }
    }
    let header = cvk_header(ModeOfUse::Verify).with_optional_block("KC", "0008D7B4").unwrap();
    let error = check_value::confirm(&header, &[0x31; 16]).unwrap_err();
    assert_eq!(error, KeyBlockError::CheckValue);
}
