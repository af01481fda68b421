//! `generate`, `verify` and `explain`: one card under one key.

use std::fmt::{self, Display};

use cvv2::hazmat::Steps;
use cvv2::{ComputeError, CvkPair, CvvLength, KcvMethod, Policy, Verdict};
use serde::{Serialize, Serializer};

use crate::args::{ExplainArgs, GenerateArgs, Kind, VerifyArgs};
use crate::cvk::Cvk;
use crate::failure::{Answer, Failure};
use crate::input::{self, Card};
use crate::print::Print;

/// Computes the value of one card.
pub(crate) fn generate(args: GenerateArgs, print: Print) -> Result<Answer, Failure> {
    let cvk = Cvk::of(&args.key)?;
    cvk.may_generate()?;
    let (key, kind) = (&*cvk.pair, args.card.kind);
    let card = input::card(key, args.card, None, false)?;
    cvk.is_for(kind.into(), &card.pan)?;
    let packed = key.pack(&card.pan, &card.expiry, &card.service_code);
    let cvv = key.generate(&packed, length(args.digits)).map_err(refusal)?;
    let text = cvv.expose();
    print.answer(
        text.as_str(),
        &Generated { kind: name(kind), cvv: text.as_str(), kcv: CheckValue(key) },
    )?;
    Ok(Answer::Done)
}

/// Verifies the value of one card.
pub(crate) fn verify(args: VerifyArgs, print: Print) -> Result<Answer, Failure> {
    let cvk = Cvk::of(&args.key)?;
    let (key, kind) = (&*cvk.pair, args.card.kind);
    let Card { pan, expiry, service_code, typed } = input::card(key, args.card, args.cvv, true)?;
    cvk.is_for(kind.into(), &pan)?;
    let typed = typed.expect("required above");
    let verdict = key.verify_cvv(&pan, &expiry, &service_code, typed.as_str()).map_err(
        |error| match error {
            cvv2::VerifyError::Typed(error) => Failure::bad_input(error),
            cvv2::VerifyError::Compute(error) => refusal(error),
            error => Failure::system(error),
        },
    )?;
    let (text, answer) = match verdict {
        Verdict::Match => ("match", Answer::Done),
        Verdict::Mismatch => ("mismatch", Answer::Negative),
    };
    print.answer(text, &Verified { kind: name(kind), verdict: text, kcv: CheckValue(key) })?;
    Ok(answer)
}

/// Shows every step of one calculation under a test key.
pub(crate) fn explain(args: ExplainArgs, print: Print) -> Result<Answer, Failure> {
    if args.key.key.is_some() {
        return Err(Failure::bad_input(
            "explain shows intermediate values, which tell a live key's secrets; give a published \
             test key with --test-key",
        ));
    }
    let cvk = Cvk::of(&args.key)?;
    let (key, kind) = (&*cvk.pair, args.card.kind);
    let card = input::card(key, args.card, None, false)?;
    let explanation = Explanation::of(key, &card, kind, length(args.digits))?;
    print.answer(&explanation, &explanation)?;
    Ok(Answer::Done)
}

/// The answer of `generate`; it borrows the value, so that no copy of it stays behind.
#[derive(Serialize)]
struct Generated<'a> {
    kind: &'static str,
    cvv: &'a str,
    kcv: CheckValue<'a>,
}

/// The answer of `verify`.
#[derive(Serialize)]
struct Verified<'a> {
    kind: &'static str,
    verdict: &'static str,
    kcv: CheckValue<'a>,
}

/// The check value of a key, computed when it is written.
struct CheckValue<'a>(&'a CvkPair);

impl Serialize for CheckValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.kcv(KcvMethod::TdesZeros))
    }
}

/// All that is in one calculation, for eyes: only ever made under a test key.
#[derive(Serialize)]
struct Explanation {
    kind: &'static str,
    kcv: String,
    expiry_order: &'static str,
    block_1: String,
    block_2: String,
    encrypted_block_1: String,
    chained: String,
    encrypted_under_a: String,
    decrypted_under_b: String,
    result: String,
    decimalised: String,
    second_pass_needed: bool,
    cvv: String,
}

impl Explanation {
    fn of(key: &CvkPair, card: &Card, kind: Kind, length: CvvLength) -> Result<Self, Failure> {
        debug_assert_eq!(key.policy(), Policy::TestVectors, "refused otherwise");
        let packed = key.pack(&card.pan, &card.expiry, &card.service_code);
        let steps = Steps::explain(key, &packed).map_err(Failure::bad_input)?;
        let result = hex::encode_upper(steps.result());
        let decimal_digits = result.chars().filter(char::is_ascii_digit).count();
        Ok(Self {
            kind: name(kind),
            kcv: key.kcv(KcvMethod::TdesZeros).to_string(),
            expiry_order: key.expiry_order().name(),
            block_1: hex::encode_upper(steps.b1()),
            block_2: hex::encode_upper(steps.b2()),
            encrypted_block_1: hex::encode_upper(steps.encrypted_b1()),
            chained: hex::encode_upper(steps.chained()),
            encrypted_under_a: hex::encode_upper(steps.encrypted_a()),
            decrypted_under_b: hex::encode_upper(steps.decrypted_b()),
            result,
            decimalised: steps.digits().iter().map(|d| char::from(b'0' + d)).collect(),
            second_pass_needed: decimal_digits < length.get(),
            cvv: steps.cvv(length).expose().as_str().to_owned(),
        })
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, kcv, expiry_order, .. } = self;
        writeln!(f, "{kind} under the CVK pair with check value {kcv}, expiry as {expiry_order}")?;
        writeln!(f)?;
        writeln!(f, "PAN, expiry and service code, filled up with zeros to 32 digits:")?;
        let mut step = |label: &str, value: &str| writeln!(f, "  {label:<34}{value}");
        step("block 1", &self.block_1)?;
        step("block 2", &self.block_2)?;
        step("encrypt block 1 under CVK A", &self.encrypted_block_1)?;
        step("exclusive-or block 2", &self.chained)?;
        step("encrypt under CVK A", &self.encrypted_under_a)?;
        step("decrypt under CVK B", &self.decrypted_under_b)?;
        step("encrypt under CVK A", &self.result)?;
        step("digits 0-9, then A-F minus ten", &self.decimalised)?;
        let passes = if self.second_pass_needed { "both passes" } else { "the first pass" };
        write!(f, "{kind} {}, from {passes} of the decimalisation", self.cvv)
    }
}

/// Whose fault it is that the engine refuses: the key is another one's choice, or it failed.
fn refusal(error: ComputeError) -> Failure {
    match error {
        ComputeError::NotForGenerating | ComputeError::NotForVerifying => Failure::bad_input(error),
        _ => Failure::system(error),
    }
}

fn length(digits: u8) -> CvvLength {
    CvvLength::new(digits.into()).expect("the command line admits 1 to 5")
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Cvv => "cvv",
        Kind::Cvv2 => "cvv2",
        Kind::Icvv => "icvv",
    }
}
