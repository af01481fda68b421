//! Any text is a key block or is refused with an error that prints; one that is read is the same
//! text again.
#![no_main]

use cvv2::KeyBlock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match KeyBlock::parse(text) {
        Ok(block) => {
            assert_eq!(block.as_str(), text);
            for optional in block.header().optional_blocks() {
                assert_eq!(optional.id().len(), 2);
                assert!(optional.as_str().ends_with(optional.data()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
