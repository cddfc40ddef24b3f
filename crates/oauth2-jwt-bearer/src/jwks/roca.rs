//! RSA moduli that can be factored: ROCA (CVE-2017-15361).
//!
//! The flawed generator makes primes that are powers of 65537 modulo a product of small
//! primes, so their products are such powers too. A modulus that is such a power for
//! every small prime comes from that generator. A good modulus has this property for
//! all the primes below with a probability of about 2^-154.

/// Whether a big-endian modulus has the mark of the flawed generator.
pub(super) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let residue = modulus
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        is_power_of_generator(residue, prime)
    })
}

fn is_power_of_generator(residue: u32, prime: u32) -> bool {
    let generator = 65537 % prime;
    let mut power = 1;
    for _ in 1..prime {
        if power == residue {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

/// The odd primes up to 167. Even the smallest flawed keys were made with a product
/// that these primes divide.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
