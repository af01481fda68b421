//! Deliberately leaky code, each the way it goes wrong in practice: at least one report each.
//!
//! A twin must leak in optimised code too, where a short `if` becomes a conditional move.
//! `black_box` in an arm keeps the branch; a twin that loses it shows as missed.

use core::hint::black_box;

use cvv2::Kernel;

use crate::{Case, Expected, library, secret};

pub(crate) fn cases() -> Vec<Case> {
    let reference = Kernel::by_name("reference").expect("it runs everywhere");
    let name = |what: &str| format!("twin: {what}");
    let generate = library::generate(
        name("the reference kernel's S-boxes"),
        reference,
        2,
        3,
        Expected::Reported,
    );
    let twin = |what: &str, leak: fn(&[u8; 16])| {
        let secret = Box::new(secret::bytes(*b"4123456789012345"));
        Case::new(name(what), Expected::Reported, move || {
            leak(&secret);
            Ok(())
        })
    };
    vec![
        generate,
        twin("S-box looked up by secret index", s_box_look_up),
        twin("compare with early exit", compare_with_early_exit),
        twin("branch in the decimaliser", decimalise_by_branch),
        twin("branch in packing", pack_by_branch),
        twin("branch in key parity", parity_by_branch),
        twin("equal neighbours computed once", skip_equal_neighbours),
        twin("loop bounded by a digit", loop_to_digit),
    ]
}

fn s_box_look_up(secret: &[u8; 16]) {
    // Row 1 of S1 of FIPS 46-3.
    let row = black_box([14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7]);
    black_box(secret.map(|byte| row[usize::from(byte & 0xF)]));
}

fn compare_with_early_exit(secret: &[u8; 16]) {
    for (computed, typed) in secret.iter().zip(black_box(b"4123456789012346")) {
        if computed != typed {
            black_box(false);
            return;
        }
    }
    black_box(true);
}

fn decimalise_by_branch(secret: &[u8; 16]) {
    let mut digits = Vec::with_capacity(16);
    for nibble in secret.map(|byte| byte & 0xF) {
        if nibble < 10 {
            digits.push(black_box(nibble));
        }
    }
    black_box(digits);
}

fn pack_by_branch(secret: &[u8; 16]) {
    let mut packed = [0_u8; 8];
    for (at, ascii) in secret.iter().enumerate() {
        // A zero digit needs no work.
        if *ascii != b'0' {
            packed[at / 2] |= black_box(ascii & 0xF) << (4 * (1 - at % 2));
        }
    }
    black_box(packed);
}

fn parity_by_branch(secret: &[u8; 16]) {
    let mut key = *secret;
    for byte in &mut key {
        if byte.count_ones().is_multiple_of(2) {
            *byte = black_box(*byte ^ 1);
        }
    }
    black_box(key);
}

fn skip_equal_neighbours(secret: &[u8; 16]) {
    let mut computed = 0_u32;
    for pair in secret.windows(2) {
        if pair[0] != pair[1] {
            computed = black_box(computed + 1);
        }
    }
    black_box(computed);
}

fn loop_to_digit(secret: &[u8; 16]) {
    for step in 0..secret[0] & 0xF {
        black_box(step);
    }
}
