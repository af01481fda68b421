//! Protection keys: from text, components and tokens.

use super::*;

/// CMAC by the crate, asked as a token would be.
fn token(
    algorithm: KbpkAlgorithm,
    key: &[u8],
) -> impl FnMut(&[u8], &mut [u8]) -> Result<(), crate::secret::SecretError> {
    fn mac<C>(key: &[u8], input: &[u8], into: &mut [u8])
    where
        Cmac<C>: KeyInit + Mac,
        C: cmac::block_api::CmacCipher,
    {
        let mac = <Cmac<C> as KeyInit>::new_from_slice(key).unwrap().chain_update(input);
        into.copy_from_slice(&mac.finalize().into_bytes());
    }
    let key = key.to_vec();
    move |input, into| {
        match algorithm {
            KbpkAlgorithm::TdesDouble => mac::<des::TdesEde2>(&key, input, into),
            KbpkAlgorithm::TdesTriple => mac::<des::TdesEde3>(&key, input, into),
            KbpkAlgorithm::Aes128 => mac::<aes::Aes128>(&key, input, into),
            KbpkAlgorithm::Aes192 => mac::<aes::Aes192>(&key, input, into),
            KbpkAlgorithm::Aes256 => mac::<aes::Aes256>(&key, input, into),
        }
        Ok(())
    }
}

#[test]
fn what_a_token_derives_is_what_the_key_derives() {
    let hex = "0123456789ABCDEFFEDCBA98765432101032547698BADCFE1133557799BBDDFF";
    for algorithm in KbpkAlgorithm::ALL {
        let hex = &hex[..2 * algorithm.key_len()];
        let own = Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
        let key = hex::decode(hex).unwrap();
        let derived =
            Kbpk::derive_with(algorithm, Protection::Wiped, token(algorithm, &key)).unwrap();
        assert_eq!(own.encryption(), derived.encryption());
        assert_eq!(own.authentication(), derived.authentication());
        assert_ne!(own.encryption(), own.authentication());
        assert_eq!(own.kcv(), derived.kcv());
        assert_eq!(own.kcv_tdes_zeros().is_some(), !algorithm.is_aes());
        assert_eq!(derived.kcv_tdes_zeros(), None);
    }
}

#[test]
fn what_a_token_derives_opens_no_variant() {
    let key = hex::decode(A_KBPK).unwrap();
    let token = token(KbpkAlgorithm::TdesDouble, &key);
    let kbpk = Kbpk::derive_with(KbpkAlgorithm::TdesDouble, Protection::Wiped, token).unwrap();
    for (text, version) in [(A, KeyBlockVersion::A), (C, KeyBlockVersion::C)] {
        let block = KeyBlock::parse(text).unwrap();
        let error = kbpk.open(&block, block.header().usage()).unwrap_err();
        assert_eq!(error, KeyBlockError::VariantsNeedKbpk { version });
    }
}

#[test]
fn an_error_of_the_token_is_passed_on() {
    #[derive(Debug, PartialEq)]
    struct Gone;
    impl From<crate::secret::SecretError> for Gone {
        fn from(_: crate::secret::SecretError) -> Self {
            panic!("there is memory")
        }
    }
    let kbpk =
        Kbpk::derive_with(KbpkAlgorithm::Aes128, Protection::Wiped, |_, _| Err::<(), _>(Gone));
    assert_eq!(kbpk.unwrap_err(), Gone);
}

#[test]
fn check_values_are_those_of_other_implementations() {
    let kbpk = |algorithm, hex| Kbpk::from_hex(algorithm, hex, Protection::Wiped).unwrap();
    let double = kbpk(KbpkAlgorithm::TdesDouble, CVK);
    assert_eq!(double.kcv_tdes_zeros().unwrap().to_string(), "08D7B4");
    assert_eq!(double.kcv(), cvk().kcv(KcvMethod::Cmac));
    assert_eq!(kbpk(KbpkAlgorithm::Aes256, D_KBPK).kcv().to_string(), "233155");
}

#[test]
fn a_text_of_another_length_or_with_other_characters_is_refused() {
    for algorithm in KbpkAlgorithm::ALL {
        let expected = 2 * algorithm.key_len();
        for chars in [0, expected - 1, expected + 1, 8] {
            let text = "1".repeat(chars);
            let error = Kbpk::from_hex(algorithm, &text, Protection::Wiped).unwrap_err();
            assert_eq!(error, KbpkError::Text(KeyError::Length { chars, expected }));
        }
    }
    let text = CVK.replace('4', "O");
    let error = Kbpk::from_hex(KbpkAlgorithm::TdesDouble, &text, Protection::Wiped);
    assert_eq!(error.unwrap_err(), KbpkError::Text(KeyError::NotHex { at: 4 }));
}

#[test]
fn a_triple_des_key_that_is_less_is_refused() {
    let [double, triple] = [KbpkAlgorithm::TdesDouble, KbpkAlgorithm::TdesTriple];
    let (x, twin, y) = ("0123456789ABCDEF", "0022446688AACCEE", "FEDCBA9876543210");
    let weak = "0000000000000000";
    for (algorithm, parts, error) in [
        (double, vec![x, x], KbpkError::EqualParts),
        (double, vec![x, twin], KbpkError::EqualParts),
        (double, vec![weak, x], KbpkError::Weak { part: 1 }),
        (double, vec![x, "FEFEFEFEFEFEFEFE"], KbpkError::Weak { part: 2 }),
        (triple, vec![x, y, y], KbpkError::EqualParts),
        (triple, vec![x, x, y], KbpkError::EqualParts),
        (triple, vec![x, y, x], KbpkError::EqualParts),
        (triple, vec![x, y, twin], KbpkError::EqualParts),
        (triple, vec![x, y, "01FE01FE01FE01FE"], KbpkError::Weak { part: 3 }),
    ] {
        let refused = Kbpk::from_hex(algorithm, &parts.concat(), Protection::Wiped);
        assert_eq!(refused.unwrap_err(), error, "{parts:?}");
    }
    Kbpk::from_hex(triple, &[x, y, "1032547698BADCFE"].concat(), Protection::Wiped).unwrap();
}

#[test]
fn a_key_of_zeros_is_refused_however_it_came() {
    for algorithm in KbpkAlgorithm::ALL {
        let zeros = "0".repeat(2 * algorithm.key_len());
        let refused = Kbpk::from_hex(algorithm, &zeros, Protection::Wiped);
        assert_eq!(refused.unwrap_err(), KbpkError::Zero, "{algorithm:?}");

        let text = "13".repeat(algorithm.key_len());
        let twice =
            [(); 2].map(|()| KbpkComponent::from_hex(algorithm, &text, Protection::Wiped).unwrap());
        let cancelled = Kbpk::from_components(algorithm, &twice, Protection::Wiped);
        assert_eq!(cancelled.unwrap_err(), KbpkError::Zero, "{algorithm:?}");
    }
    for one in ["80000000000000000000000000000000", "00000000000000000000000000000001"] {
        Kbpk::from_hex(KbpkAlgorithm::Aes128, one, Protection::Wiped).unwrap();
    }
}

#[test]
fn two_or_three_components_of_the_keys_length_combine() {
    let component =
        |algorithm, hex: &str| KbpkComponent::from_hex(algorithm, hex, Protection::Wiped).unwrap();
    let [double, aes] = [KbpkAlgorithm::TdesDouble, KbpkAlgorithm::Aes128];
    let parts = [
        component(double, "137A2C25C198E3EAA76161B99BA4C267"),
        component(double, "D5BFAD649E4CC43D023151DFC2791CE5"),
        component(double, "00000000000000000000000000000001"),
        component(aes, "00000000000000000000000000000001"),
    ];
    let combine = |algorithm, parts: &[KbpkComponent]| {
        Kbpk::from_components(algorithm, parts, Protection::Wiped)
    };
    // The sum of a published pair; the third component changes a parity bit.
    for parts in [&parts[..2], &parts[..3]] {
        let kcv = combine(double, parts).unwrap().kcv_tdes_zeros().unwrap();
        assert_eq!(kcv.to_string(), "D5BE96");
    }
    for given in [0, 1, 4] {
        let error = combine(double, &parts[..given]).unwrap_err();
        assert_eq!(error, KbpkError::Components { given });
    }
    let error = combine(double, &parts[2..]).unwrap_err();
    assert_eq!(error, KbpkError::ComponentAlgorithm { number: 2 });
    let error = combine(aes, &parts[2..]).unwrap_err();
    assert_eq!(error, KbpkError::ComponentAlgorithm { number: 1 });

    assert_eq!(parts[0].kcv_tdes_zeros().unwrap().to_string(), "38EECD");
    assert_eq!(format!("{:?}", parts[0]), "KbpkComponent([redacted])");
    assert_eq!(parts[3].kcv_tdes_zeros(), None);
}

#[test]
fn debug_names_the_key_by_its_check_value_only() {
    let shown = format!("{:?}", kbpk(D_KBPK));
    assert!(shown.starts_with("Kbpk { algorithm: Aes256, kcv: Kcv(233155)"), "{shown}");
    let opened = kbpk(D_KBPK).open(&KeyBlock::parse(D).unwrap(), usage("P0")).unwrap();
    assert_eq!(format!("{opened:?}"), "OpenedKey([redacted])");
}
