//! Tensors into ONNX Runtime's values and back, for every datatype of the protocol.

use std::ffi::{c_char, c_void};
use std::ptr;

use ort::sys;
use tidegate_schema::{Datatype, Error, ErrorKind, Result, Tensor, TensorData};

use super::check;
use crate::backend::Slab;

type Element = sys::ONNXTensorElementDataType;

/// ONNX Runtime's name of each datatype.
const ELEMENTS: [(Datatype, Element); 14] = [
    (Datatype::Bool, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL),
    (
        Datatype::Uint8,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
    ),
    (
        Datatype::Uint16,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
    ),
    (
        Datatype::Uint32,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
    ),
    (
        Datatype::Uint64,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
    ),
    (Datatype::Int8, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8),
    (
        Datatype::Int16,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
    ),
    (
        Datatype::Int32,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
    ),
    (
        Datatype::Int64,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    ),
    (
        Datatype::Fp16,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
    ),
    (
        Datatype::Bf16,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
    ),
    (Datatype::Fp32, Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
    (
        Datatype::Fp64,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
    ),
    (
        Datatype::Bytes,
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    ),
];

fn element_of(datatype: Datatype) -> Element {
    ELEMENTS.iter().find(|(ours, _)| *ours == datatype).map_or(
        Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED,
        |(_, theirs)| *theirs,
    )
}

/// The protocol's datatype of an element type; `None` for those that the protocol lacks.
pub(super) fn datatype_of(element: Element) -> Option<Datatype> {
    ELEMENTS
        .iter()
        .find(|(_, theirs)| *theirs == element)
        .map(|(ours, _)| *ours)
}

/// An ONNX Runtime value, released when dropped.
#[repr(transparent)]
pub(super) struct Value(*mut sys::OrtValue);

// SAFETY: a value is a heap object without ties to the thread that made it.
unsafe impl Send for Value {}

impl Drop for Value {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer came from ONNX Runtime, is not null and is released once.
            unsafe { (ort::api().ReleaseValue)(self.0) };
        }
    }
}

/// Runs an expression over the numbers of a tensor, or another over its texts.
macro_rules! numbers {
    ($data:expr, $values:ident => $body:expr, $texts:ident => $other:expr) => {
        match $data {
            TensorData::Bool($values) => $body,
            TensorData::Uint8($values) => $body,
            TensorData::Uint16($values) => $body,
            TensorData::Uint32($values) => $body,
            TensorData::Uint64($values) => $body,
            TensorData::Int8($values) => $body,
            TensorData::Int16($values) => $body,
            TensorData::Int32($values) => $body,
            TensorData::Int64($values) => $body,
            TensorData::Fp16($values) => $body,
            TensorData::Bf16($values) => $body,
            TensorData::Fp32($values) => $body,
            TensorData::Fp64($values) => $body,
            TensorData::Bytes($texts) => $other,
        }
    };
}

impl Value {
    /// No value yet: a place for ONNX Runtime to put an output.
    pub(super) const fn none() -> Self {
        Self(ptr::null_mut())
    }

    /// A value that borrows the numbers of a slab: it must not outlive it. Texts are copied.
    pub(super) fn borrow(
        slab: &Slab<'_>,
        memory: *const sys::OrtMemoryInfo,
        dimensions: &mut Vec<i64>,
    ) -> Result<Self> {
        dimensions.clear();
        dimensions.extend(slab.shape.iter().map(|&extent| extent as i64));
        if slab.shape.iter().product::<usize>() != slab.data.len() {
            return Err(Error::internal(format!(
                "a tensor of shape {:?} with {} elements",
                slab.shape,
                slab.data.len()
            )));
        }
        if let TensorData::Bool(values) = slab.data
            && values.iter().any(|&value| value > 1)
        {
            return Err(Error::invalid(
                "a BOOL element is neither 0 nor 1: send one byte, 0 or 1, an element",
            ));
        }
        let element = element_of(slab.data.datatype());
        let mut value = Self::none();
        numbers!(slab.data, numbers => {
            // SAFETY: the pointer is of that many bytes; ONNX Runtime only reads inputs, and the
            // caller drops the value before the numbers; shape and out pointer are ours.
            check(unsafe {
                (ort::api().CreateTensorWithDataAsOrtValue)(
                    memory,
                    numbers.as_ptr().cast_mut().cast::<c_void>(),
                    size_of_val(numbers.as_slice()),
                    dimensions.as_ptr(),
                    dimensions.len(),
                    element,
                    &raw mut value.0,
                )
            })?;
        }, texts => value.copy_texts(texts, dimensions, element)?);
        Ok(value)
    }

    fn copy_texts(
        &mut self,
        texts: &[Vec<u8>],
        dimensions: &[i64],
        element: Element,
    ) -> Result<()> {
        let api = ort::api();
        let mut allocator = ptr::null_mut();
        // SAFETY: the default allocator is ONNX Runtime's own and is not to be freed; the shape is
        // read and the out pointer written during the call.
        check(unsafe { (api.GetAllocatorWithDefaultOptions)(&raw mut allocator) })?;
        // SAFETY: as above.
        check(unsafe {
            (api.CreateTensorAsOrtValue)(
                allocator,
                dimensions.as_ptr(),
                dimensions.len(),
                element,
                &raw mut self.0,
            )
        })?;
        for (index, text) in texts.iter().enumerate() {
            let mut place: *mut c_char = ptr::null_mut();
            // SAFETY: `index` is below the element count, which was checked against the shape.
            check(unsafe {
                (api.GetResizedStringTensorElementBuffer)(self.0, index, text.len(), &raw mut place)
            })?;
            if !text.is_empty() && !place.is_null() {
                // SAFETY: the buffer was resized to the length of the text; they do not overlap.
                unsafe { ptr::copy_nonoverlapping(text.as_ptr(), place.cast::<u8>(), text.len()) };
            }
        }
        Ok(())
    }

    /// Copies the value into a tensor of this name.
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        if self.0.is_null() {
            return Err(Error::new(
                ErrorKind::Backend,
                format!("the model gave no output {name:?}"),
            ));
        }
        let mut element = Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        let mut dimensions: *const i64 = ptr::null();
        let mut rank = 0;
        // SAFETY: the value is a live tensor (outputs that are none are refused at load); the
        // shape is owned by the value and read before it is dropped.
        check(unsafe {
            (ort::api().GetTensorElementTypeAndShapeDataReference)(
                self.0,
                &raw mut element,
                &raw mut dimensions,
                &raw mut rank,
            )
        })?;
        let shape: Vec<usize> = if rank == 0 || dimensions.is_null() {
            Vec::new()
        } else {
            // SAFETY: ONNX Runtime gave a pointer to `rank` extents.
            unsafe { std::slice::from_raw_parts(dimensions, rank) }
                .iter()
                .map(|&extent| usize::try_from(extent).unwrap_or(0))
                .collect()
        };
        let datatype = datatype_of(element).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("output {name:?} has an element type that the protocol lacks: cast it in the model"),
            )
        })?;
        let elements = shape.iter().product();
        let mut data = TensorData::with_capacity(datatype, elements);
        numbers!(&mut data, numbers => self.copy_numbers(numbers, elements)?,
            texts => self.read_texts(texts, elements)?);
        Tensor::new(name, shape, data)
    }

    /// `T` must be the Rust type of the value's element type.
    fn copy_numbers<T: Copy>(&self, numbers: &mut Vec<T>, elements: usize) -> Result<()> {
        if elements == 0 {
            return Ok(());
        }
        let mut start: *mut c_void = ptr::null_mut();
        // SAFETY: the value is a live tensor of numbers.
        check(unsafe { (ort::api().GetTensorMutableData)(self.0, &raw mut start) })?;
        if start.is_null() {
            return Err(Error::internal("a tensor without data"));
        }
        // SAFETY: the tensor holds `elements` elements of the type that was read from it, aligned
        // by ONNX Runtime's allocator, and lives through the copy.
        numbers
            .extend_from_slice(unsafe { std::slice::from_raw_parts(start.cast::<T>(), elements) });
        Ok(())
    }

    fn read_texts(&self, texts: &mut Vec<Vec<u8>>, elements: usize) -> Result<()> {
        let api = ort::api();
        let mut length = 0;
        // SAFETY: the value is a live tensor of texts; the buffers below are of the lengths given.
        check(unsafe { (api.GetStringTensorDataLength)(self.0, &raw mut length) })?;
        let mut content = vec![0_u8; length];
        let mut offsets = vec![0_usize; elements];
        // SAFETY: as above.
        check(unsafe {
            (api.GetStringTensorContent)(
                self.0,
                content.as_mut_ptr().cast::<c_void>(),
                length,
                offsets.as_mut_ptr(),
                elements,
            )
        })?;
        for (position, &start) in offsets.iter().enumerate() {
            let end = offsets.get(position + 1).copied().unwrap_or(length);
            texts.push(content.get(start..end).unwrap_or_default().to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datatype_has_its_element_type() {
        for datatype in Datatype::ALL {
            assert_eq!(datatype_of(element_of(datatype)), Some(datatype));
        }
        assert_eq!(
            datatype_of(Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64),
            None
        );
    }
}
