//! Any text is card data or is refused with an error that prints and shows nothing of it.
#![no_main]

use cvv2::{Cvv, CvvLength, Expiry, Pan, ServiceCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    refuses(Pan::parse(text).map(|pan| assert_eq!(pan.expose(), text)), text);
    for expiry in [Expiry::parse_yymm(text), Expiry::parse_mmyy(text)] {
        refuses(expiry.map(|expiry| assert!((1..=12).contains(&expiry.month()))), text);
    }
    refuses(ServiceCode::parse(text).map(drop), text);
    for digits in 1..=5 {
        let length = CvvLength::new(digits).expect("a length of a value");
        let typed = Cvv::parse(text, length);
        refuses(typed.map(|cvv| assert_eq!(cvv.expose().as_str(), text)), text);
    }
});

fn refuses<E: std::fmt::Display>(parsed: Result<(), E>, text: &str) {
    if let Err(error) = parsed {
        let error = error.to_string();
        assert!(!error.is_empty());
        // Fewer digits may be a position or a limit by chance.
        let digits = text.len() >= 6 && text.bytes().all(|b| b.is_ascii_digit());
        assert!(!digits || !error.contains(text), "shows the text");
    }
}
