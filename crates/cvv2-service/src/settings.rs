//! What an operator can set. Reading a file of it is the command line's work.

use std::fmt;

use cvv2_resolver::ExidForm;
use time::UtcOffset;

use crate::envelope::Function;

/// The settings of the operation, with defaults that follow the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in with `..`")]
pub struct Settings {
    /// `application_name` of every answer: 1 to 50 characters. Default: `cvv2`.
    pub application_name: String,
    /// `instance_id` of answers to requests that name none: 1 to 10 characters. Default: `cvv2`.
    pub instance_id: String,
    /// The offset of our clock: answers are dated in it, cards expire and keys come into force at
    /// its midnight, and a timestamp that names none is read in it. Whole minutes. Default: UTC.
    pub utc_offset: UtcOffset,
    /// Which EXIDs are read: the published structure, or other issuers' too (`exid.strict =
    /// false`). Default: the published structure.
    pub exid_form: ExidForm,
    /// `msg_function` of answers (`compat.response_function`). Default: the field table's form.
    pub response_function: ResponseFunction,
}

impl Settings {
    /// The most characters of `application_name`; the contract has no limit for it.
    pub const APPLICATION_NAME_CHARS_MAX: usize = 50;
    /// The most characters of `instance_id`, in requests and answers alike.
    pub const INSTANCE_ID_CHARS_MAX: usize = 10;

    /// Refuses what would make answers that break the contract.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with the first setting that is out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let name_max = Self::APPLICATION_NAME_CHARS_MAX;
        check_text("application_name", &self.application_name, name_max)?;
        check_text("instance_id", &self.instance_id, Self::INSTANCE_ID_CHARS_MAX)?;
        match self.utc_offset.seconds_past_minute() {
            0 => Ok(()),
            _ => Err(SettingsError::OffsetSeconds),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            application_name: "cvv2".to_owned(),
            instance_id: "cvv2".to_owned(),
            utc_offset: UtcOffset::UTC,
            exid_form: ExidForm::Strict,
            response_function: ResponseFunction::Rep,
        }
    }
}

/// How answers name their function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the contract is published")]
pub enum ResponseFunction {
    /// `REP_GET_CVV2`, as the field table and the sibling services have it.
    #[default]
    Rep,
    /// `RES_GET_CVV2`, as the published sample has it.
    Res,
}

impl ResponseFunction {
    /// `msg_function` of the answers of a function.
    #[must_use]
    pub const fn name(self, function: Function) -> &'static str {
        match (self, function) {
            (Self::Rep, Function::GetCvv2) => "REP_GET_CVV2",
            (Self::Rep, Function::VerifyCvv2) => "REP_VERIFY_CVV2",
            (Self::Res, Function::GetCvv2) => "RES_GET_CVV2",
            (Self::Res, Function::VerifyCvv2) => "RES_VERIFY_CVV2",
        }
    }
}

/// Why settings were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// The offset from UTC has seconds, which RFC 3339 cannot write.
    OffsetSeconds,
    /// A text is empty, too long, or has control characters.
    Text {
        /// The name of the setting.
        setting: &'static str,
        /// The most characters it may have.
        chars_max: usize,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffsetSeconds => {
                f.write_str("utc_offset has seconds; set an offset of whole minutes")
            }
            Self::Text { setting, chars_max } => {
                write!(
                    f,
                    "{setting} has to have 1 to {chars_max} characters, none of them a control"
                )
            }
        }
    }
}

impl std::error::Error for SettingsError {}

fn check_text(setting: &'static str, text: &str, chars_max: usize) -> Result<(), SettingsError> {
    let fits = (1..=chars_max).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(SettingsError::Text { setting, chars_max })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::offset;

    use super::*;

    #[test]
    fn defaults_pass_and_seams_hold() {
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check()
        };
        let instance = SettingsError::Text { setting: "instance_id", chars_max: 10 };
        let name = SettingsError::Text { setting: "application_name", chars_max: 50 };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|s| s.instance_id = "é".repeat(10)), Ok(()));
        assert_eq!(with(|s| s.instance_id = "é".repeat(11)), Err(instance));
        assert_eq!(with(|s| s.instance_id.clear()), Err(instance));
        assert_eq!(with(|s| s.application_name = "n".repeat(50)), Ok(()));
        assert_eq!(with(|s| s.application_name = "n".repeat(51)), Err(name));
        assert_eq!(with(|s| s.application_name = "a\nb".to_owned()), Err(name));
        assert_eq!(with(|s| s.utc_offset = offset!(-3:30)), Ok(()));
        assert_eq!(with(|s| s.utc_offset = offset!(+0:00:01)), Err(SettingsError::OffsetSeconds));
    }
}
