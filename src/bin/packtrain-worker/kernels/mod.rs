//! What `tch` lacks on the CPU. Knows neither networks nor images.

use tch::{Device, Kind, Tensor};

/// The numbers of a contiguous fp32 tensor on the CPU, to be written in place.
pub fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float && tensor.device() == Device::Cpu, "{tensor:?}");
    #[expect(unsafe_code, reason = "`tch` only copies into a tensor, from memory that would have to be written first")]
    // SAFETY: the tensor has so many numbers, without gaps, and lives as long as the slice. Whoever has a view of it must not read now.
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel())
    }
}
