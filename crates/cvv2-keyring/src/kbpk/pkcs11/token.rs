//! What is asked of a token.

use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use cvv2::key::{Kbpk, KbpkAlgorithm};
use cvv2::secret::Protection;
use zeroize::Zeroizing;

use super::{Pkcs11Error, Pkcs11Source};
use crate::{CheckValue, SecretText};

/// Finds the key and derives what key blocks need.
pub(super) fn load(
    source: &Pkcs11Source,
    pin: &SecretText,
    at_least: Protection,
) -> Result<Kbpk, Pkcs11Error> {
    in_session(source, pin, Access::ReadOnly, |session| {
        let key = find(session, source)?.ok_or_else(|| Pkcs11Error::NoKey {
            key: source.key.clone(),
            token: source.token.clone(),
        })?;
        let kbpk = derive(session, key, source, at_least)?;
        let computed = CheckValue::from(kbpk.kcv());
        match source.kcv {
            Some(stated) if stated != computed => Err(Pkcs11Error::Kcv { stated, computed }),
            _ => Ok(kbpk),
        }
    })
}

/// Makes a key of the token's own that serves for CMACs and for nothing else, and derives what key
/// blocks need.
pub(super) fn generate(
    source: &Pkcs11Source,
    pin: &SecretText,
    at_least: Protection,
) -> Result<Kbpk, Pkcs11Error> {
    in_session(source, pin, Access::ReadWrite, |session| {
        if find(session, source)?.is_some() {
            return Err(Pkcs11Error::KeyExists { key: source.key.clone() });
        }
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(32.into()),
            Attribute::Label(source.key.clone().into_bytes()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Verify(false),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
        ];
        let key = session.generate_key(&Mechanism::AesKeyGen, &template)?;
        derive(session, key, source, at_least)
    })
}

#[derive(Clone, Copy)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// Does something as the token's user, and lets go of the token and its module.
fn in_session<T>(
    source: &Pkcs11Source,
    pin: &SecretText,
    access: Access,
    act: impl FnOnce(&Session) -> Result<T, Pkcs11Error>,
) -> Result<T, Pkcs11Error> {
    // A module is initialised once in a process, and let go for all that use it.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);

    let module = Module::load(source)?;
    let slot = module.slot(&source.token)?;
    let session = match access {
        Access::ReadOnly => module.context.open_ro_session(slot)?,
        Access::ReadWrite => module.context.open_rw_session(slot)?,
    };
    login(&session, pin, &source.token)?;
    // The session ends before the use of the module, and with it the login.
    act(&session)
}

/// An initialised module, which is let go when this is dropped.
struct Module {
    context: Pkcs11,
}

impl Module {
    fn load(source: &Pkcs11Source) -> Result<Self, Pkcs11Error> {
        let context = Pkcs11::new(&source.module).map_err(|error| Pkcs11Error::Module {
            why: match error {
                Error::LibraryLoading(error) => error.to_string(),
                error => error.to_string(),
            },
        })?;
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(Self { context })
    }

    /// The slot of the token of this label, which has to know AES-CMAC.
    fn slot(&self, label: &str) -> Result<Slot, Pkcs11Error> {
        let (mut found, mut there) = (Vec::new(), Vec::new());
        for slot in self.context.get_slots_with_initialized_token()? {
            let token = self.context.get_token_info(slot)?;
            if token.label().trim_end() == label {
                found.push((slot, token));
            } else {
                there.push(token.label().trim_end().to_owned());
            }
        }
        let token = label.to_owned();
        let [(slot, info)] = &found[..] else {
            return Err(match found.len() {
                0 => Pkcs11Error::NoToken { token, there },
                _ => Pkcs11Error::SeveralTokens { token },
            });
        };
        if info.user_pin_locked() {
            return Err(Pkcs11Error::PinLocked { token });
        }
        let cmac = MechanismType::AES_CMAC;
        if !self.context.get_mechanism_list(*slot)?.contains(&cmac)
            || !self.context.get_mechanism_info(*slot, cmac)?.sign()
        {
            return Err(Pkcs11Error::Mechanism { token });
        }
        Ok(*slot)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Where this fails the process ends with the module in it, and nothing depends on that.
        let _ = self.context.clone().finalize();
    }
}

fn login(session: &Session, pin: &SecretText, token: &str) -> Result<(), Pkcs11Error> {
    let token = token.to_owned();
    let pin = RawAuthPin::new(Box::new(pin.as_str().as_bytes().to_vec()));
    session.login_with_raw(UserType::User, &pin).map_err(|error| match error {
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            Pkcs11Error::WrongPin { token }
        }
        Error::Pkcs11(RvError::PinLocked, _) => Pkcs11Error::PinLocked { token },
        Error::Pkcs11(RvError::UserPinNotInitialized, _) => Pkcs11Error::PinNotSet { token },
        error => error.into(),
    })
}

/// The secret key of the source's label, if there is one.
fn find(session: &Session, source: &Pkcs11Source) -> Result<Option<ObjectHandle>, Pkcs11Error> {
    let found = session.find_objects(&[
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Label(source.key.clone().into_bytes()),
    ])?;
    match found[..] {
        [] => Ok(None),
        [key] => Ok(Some(key)),
        _ => Err(Pkcs11Error::SeveralKeys { key: source.key.clone() }),
    }
}

/// Derives what key blocks need of a key that stays where it is.
fn derive(
    session: &Session,
    key: ObjectHandle,
    source: &Pkcs11Source,
    at_least: Protection,
) -> Result<Kbpk, Pkcs11Error> {
    let algorithm = judge(session, key, &source.key)?;
    Kbpk::derive_with(algorithm, at_least, |input, mac| {
        let computed = Zeroizing::new(session.sign(&Mechanism::AesCMac, key, input)?);
        if computed.len() != mac.len() {
            return Err(Pkcs11Error::MacLength { bytes: computed.len() });
        }
        mac.copy_from_slice(&computed);
        Ok(())
    })
}

/// What kind of AES key it is; refused are keys that can leave the token or may not compute MACs.
fn judge(session: &Session, key: ObjectHandle, label: &str) -> Result<KbpkAlgorithm, Pkcs11Error> {
    let attributes = session.get_attributes(
        key,
        &[
            AttributeType::KeyType,
            AttributeType::ValueLen,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Sign,
        ],
    )?;
    let has = |attribute| attributes.contains(&attribute);
    let label = label.to_owned();
    let lengths =
        [(16, KbpkAlgorithm::Aes128), (24, KbpkAlgorithm::Aes192), (32, KbpkAlgorithm::Aes256)];
    let algorithm = lengths
        .into_iter()
        .find(|(bytes, _)| has(Attribute::ValueLen((*bytes).into())))
        .filter(|_| has(Attribute::KeyType(KeyType::AES)));
    let Some((_, algorithm)) = algorithm else {
        return Err(Pkcs11Error::KeyType { key: label });
    };
    if !has(Attribute::Sensitive(true)) || !has(Attribute::Extractable(false)) {
        return Err(Pkcs11Error::Extractable { key: label });
    }
    if !has(Attribute::Sign(true)) {
        return Err(Pkcs11Error::NotForMacs { key: label });
    }
    Ok(algorithm)
}
