//! Owns the credentials of the system's Kerberos library that come from a given key table or ticket cache. The safe
//! binding of the library has only those that the process's environment names. Java: `Krb5LoginModule`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use libgssapi::credential::Cred;
use libgssapi::error::{Error, MajorFlags};
use libgssapi_sys as sys;

/// The mechanism: 1.2.840.113554.1.2.2.
const KRB5: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// The form of a principal's name: 1.2.840.113554.1.2.2.1.
const PRINCIPAL_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

/// What a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To accept clients.
    Accept,
    /// To connect to servers.
    Initiate,
}

/// Where a credential comes from: the library's names of places (`keytab`, `client_keytab`, `ccache`) and their values.
pub type Store = [(&'static CStr, CString)];

/// Gets a credential of a principal, or of any in the store. May wait for the key distribution center.
pub fn acquire(principal: Option<&str>, usage: Use, store: &Store) -> Result<Cred, Error> {
    let name = principal.map(PrincipalName::import).transpose()?;
    let mut elements: Vec<sys::gss_key_value_element_desc> = store
        .iter()
        .map(|(key, value)| sys::gss_key_value_element_desc {
            key: key.as_ptr(),
            value: value.as_ptr().cast::<c_char>(),
        })
        .collect();
    let store = sys::gss_key_value_set_desc {
        count: u32::try_from(elements.len()).expect("there are a few"),
        elements: elements.as_mut_ptr(),
    };
    let mut mechanism = oid(KRB5);
    let mut mechanisms = sys::gss_OID_set_desc {
        count: 1,
        elements: &raw mut mechanism,
    };
    let usage = match usage {
        Use::Accept => sys::GSS_C_ACCEPT,
        Use::Initiate => sys::GSS_C_INITIATE,
    };
    let mut credential: sys::gss_cred_id_t = ptr::null_mut();
    let mut minor = 0;
    // SAFETY: every pointer is to a value of this function, or of the caller, that lives until after the call. The
    // library copies what it keeps. Null pointers stand where it allows them: for results that are not wanted.
    let major = unsafe {
        sys::gss_acquire_cred_from(
            &raw mut minor,
            name.as_ref().map_or(ptr::null_mut(), |name| name.0),
            sys::_GSS_C_INDEFINITE,
            &raw mut mechanisms,
            usage as sys::gss_cred_usage_t,
            &raw const store,
            &raw mut credential,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(major, minor)?;
    // SAFETY: the library has made the credential for this call alone; the value that takes it releases it once.
    Ok(unsafe { Cred::from_c(credential) })
}

/// The code in the error table of Kerberos (RFC 4120): 34 is a replay.
pub fn kerberos_code(error: &Error) -> i64 {
    const TABLE: i64 = -1_765_328_384;
    i64::from(error.minor.cast_signed()) - TABLE
}

/// A name that the library has read.
struct PrincipalName(sys::gss_name_t);

impl PrincipalName {
    fn import(name: &str) -> Result<Self, Error> {
        let mut buffer = sys::gss_buffer_desc {
            length: name.len(),
            value: name.as_ptr().cast_mut().cast::<c_void>(),
        };
        let mut form = oid(PRINCIPAL_NAME);
        let (mut imported, mut minor): (sys::gss_name_t, u32) = (ptr::null_mut(), 0);
        // SAFETY: the pointers are to values that live until after the call; the library reads the name and the form,
        // and copies them.
        let major = unsafe {
            sys::gss_import_name(&raw mut minor, &raw mut buffer, &raw mut form, &raw mut imported)
        };
        check(major, minor)?;
        Ok(Self(imported))
    }
}

impl Drop for PrincipalName {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the library has made the name for this value alone, which releases it once.
        unsafe { sys::gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

/// An identifier as the library takes it. It only reads the bytes.
fn oid(bytes: &'static [u8]) -> sys::gss_OID_desc {
    sys::gss_OID_desc {
        length: u32::try_from(bytes.len()).expect("it is short"),
        elements: bytes.as_ptr().cast_mut().cast::<c_void>(),
    }
}

fn check(major: u32, minor: u32) -> Result<(), Error> {
    match major {
        sys::GSS_S_COMPLETE => Ok(()),
        major => Err(Error {
            major: MajorFlags::from_bits_retain(major),
            minor,
        }),
    }
}
