//! One tensor object of a request's `inputs` or a reply's `outputs`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tidegate_schema::{Datatype, Error, ErrorKind, Tensor, TensorData};

use super::binary;
use crate::element::{Data, DataSeed};
use crate::json::{Context, Result, Skip, Text, keys, parse, quote, twice};
use crate::limits::{product, too_many};
use crate::parameter::{Parameter, Parameters, ParametersSeed, Read};
use crate::write;

/// The parameter that says how many bytes of the binary part hold the elements.
pub(super) const SIZE: &str = "binary_data_size";
/// Containers around a tensor object: the body and the list of tensors.
const DEPTH: usize = 2;
/// Tensors for which there is room from the start: one reservation for a usual request.
const FEW: usize = 16;

keys!(Key {
    Name = "name",
    Shape = "shape",
    Datatype = "datatype",
    Parameters = "parameters",
    Data = "data",
});

/// A tensor whose elements are there, or still to be cut from the binary part.
pub(super) struct Parsed {
    pub tensor: Tensor,
    pub parameters: Parameters,
    /// Bytes of the binary part that hold the elements.
    pub binary: Option<usize>,
}

/// Tensors of one body, in order.
#[derive(Default)]
pub(super) struct Tensors {
    pub tensors: Vec<Tensor>,
    /// One for each tensor, or none at all where no tensor has any.
    pub parameters: Vec<Parameters>,
    /// Which tensor takes how many bytes from the binary part.
    binary: Vec<(usize, usize)>,
}

impl Tensors {
    /// None yet, and room for a usual request.
    pub(super) fn new() -> Self {
        Self {
            tensors: Vec::with_capacity(FEW),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, parsed: Parsed) {
        let position = self.tensors.len();
        if let Some(size) = parsed.binary {
            self.binary.push((position, size));
        }
        if !parsed.parameters.is_empty() {
            self.parameters.resize_with(position, Parameters::new);
            self.parameters.push(parsed.parameters);
        } else if !self.parameters.is_empty() {
            self.parameters.push(Parameters::new());
        }
        self.tensors.push(parsed.tensor);
    }

    /// Cuts the binary part, all of it, for the tensors that await it.
    pub(super) fn fill(&mut self, context: &Context<'_>, tail: &[u8]) -> Result<()> {
        let mut rest = tail;
        for &(position, size) in &self.binary {
            let Some(tensor) = self.tensors.get_mut(position) else {
                continue;
            };
            let Tensor { name, shape, data } = tensor;
            let place = |error: Error| error.at(format!("tensor {}", quote(name)));
            let Some((bytes, after)) = rest.split_at_checked(size) else {
                return Err(place(Error::invalid(format!(
                    "expecting {} additional bytes of binary data: send all that \
                     binary_data_size says",
                    size - rest.len()
                ))));
            };
            *data = product(shape)
                .and_then(|elements| context.count(elements))
                .and_then(|()| binary::read(data.datatype(), shape, bytes))
                .map_err(place)?;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Error::invalid(format!(
                "{} bytes of binary data are left over: let the binary_data_size of the tensors \
                 add up to what follows the JSON",
                rest.len()
            )));
        }
        Ok(())
    }
}

/// Reads an array of tensor objects.
pub(super) struct TensorsSeed<'c>(pub &'c Context<'c>);

impl<'de> DeserializeSeed<'de> for TensorsSeed<'_> {
    type Value = Tensors;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Tensors, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TensorsSeed<'_> {
    type Value = Tensors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tensors, A::Error> {
        let mut all = Tensors::new();
        while let Some(parsed) = items.next_element_seed(TensorSeed(self.0, all.tensors.len()))? {
            all.push(parsed);
        }
        Ok(all)
    }
}

struct TensorSeed<'c>(&'c Context<'c>, usize);

impl<'de> DeserializeSeed<'de> for TensorSeed<'_> {
    type Value = Parsed;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Parsed, D::Error> {
        reader.deserialize_map(self)
    }
}

/// What a tensor object has shown so far.
#[derive(Default)]
struct Parts<'de> {
    name: Option<Cow<'de, str>>,
    shape: Option<Vec<usize>>,
    datatype: Option<Datatype>,
    parameters: Option<Read>,
    data: Option<Data>,
    /// Data that came before its datatype, kept as text and read at the end.
    early: Option<&'de RawValue>,
}

impl<'de> Visitor<'de> for TensorSeed<'_> {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let Self(context, position) = self;
        let limit = context.limits.tensors;
        if position >= limit {
            return Err(context.fail(too_many("tensors", position + 1, limit)));
        }
        context.deep(DEPTH + 1)?;
        let mut parts = Parts::default();
        let read = parts.read(context, &mut map);
        if read.is_err() {
            let name = parts.name.as_deref().unwrap_or_default();
            context.locate(|error| within(name, error).at(parts.place(position)));
        }
        read?;
        let place = match &parts.name {
            Some(_) => None,
            None => Some(parts.place(position)),
        };
        parts.finish(context).map_err(|(error, name)| {
            let place = place.unwrap_or_else(|| format!("tensor {}", quote(&name)));
            context.fail(within(&name, error).at(place))
        })
    }
}

/// An error about the tensor of this name, which is that of a column.
#[cold]
fn within(name: &str, error: Error) -> Error {
    match error.mistyped {
        Some(_) => error.mistyped(name),
        None => error,
    }
}

impl<'de> Parts<'de> {
    fn place(&self, position: usize) -> String {
        match &self.name {
            Some(name) => format!("tensor {}", quote(name)),
            None => format!("tensor number {position}"),
        }
    }

    fn read<A: MapAccess<'de>>(
        &mut self,
        context: &Context<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            let again = match key {
                Key::Name => {
                    let value = map.next_value_seed(Text("the name of a tensor"))?;
                    self.name.replace(value).is_some()
                }
                Key::Shape => {
                    let value = map.next_value_seed(ShapeSeed(context))?;
                    self.shape.replace(value).is_some()
                }
                Key::Datatype => {
                    let value = map.next_value_seed(DatatypeSeed(context))?;
                    self.datatype.replace(value).is_some()
                }
                Key::Parameters => {
                    context.deep(DEPTH + 2)?;
                    let value = map.next_value_seed(ParametersSeed { context, own: SIZE })?;
                    self.parameters.replace(value).is_some()
                }
                Key::Data if self.data.is_some() || self.early.is_some() => true,
                Key::Data => {
                    match self.datatype {
                        Some(datatype) => {
                            self.data = Some(map.next_value_seed(self.seed(context, datatype))?);
                        }
                        None => self.early = Some(map.next_value()?),
                    }
                    false
                }
                Key::Other => {
                    let skip = Skip {
                        context,
                        depth: DEPTH + 1,
                    };
                    map.next_value_seed(skip)?;
                    false
                }
            };
            if again {
                return Err(context.fail(twice(key.name())));
            }
        }
        Ok(())
    }

    fn seed<'c>(&self, context: &'c Context<'c>, datatype: Datatype) -> DataSeed<'c> {
        // A shape that overflows is refused at the end.
        let due = self.shape.as_deref().and_then(|shape| product(shape).ok());
        DataSeed {
            context,
            datatype,
            due,
            depth: DEPTH + 1,
        }
    }

    fn finish(mut self, context: &Context<'_>) -> Result<Parsed, (Error, String)> {
        let name = self.name.take().unwrap_or_default().into_owned();
        match self.assemble(context, &name) {
            Ok((shape, data, parameters, binary)) => Ok(Parsed {
                tensor: Tensor { name, shape, data },
                parameters,
                binary,
            }),
            Err(error) => Err((error, name)),
        }
    }

    #[allow(clippy::type_complexity)]
    fn assemble(
        mut self,
        context: &Context<'_>,
        name: &str,
    ) -> Result<(Vec<usize>, TensorData, Parameters, Option<usize>)> {
        if name.is_empty() {
            return Err(missing("name"));
        }
        let Some(datatype) = self.datatype else {
            return Err(missing("datatype"));
        };
        if let Some(text) = self.early.take() {
            let text = text.get().as_bytes();
            self.data = Some(parse(text, context, self.seed(context, datatype))?);
        }
        let Some(shape) = self.shape else {
            return Err(missing("shape"));
        };
        context.limits.check_shape(&shape)?;
        let due = product(&shape)?;
        let read = self.parameters.unwrap_or_default();
        let parameters = read.others;
        if parameters.get("shared_memory_region").is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "shared memory is not offered: send the elements as data or in binary",
            ));
        }
        let size = match read.own {
            None => None,
            Some(value) => Some(value.unsigned().ok_or_else(|| {
                Error::invalid(format!(
                    "parameter {SIZE:?} is {value} where a whole number from 0 on is due"
                ))
            })?),
        };
        match (self.data, size) {
            (Some(data), None) => {
                check(&shape, due, &data)?;
                Ok((shape, data.values, parameters, None))
            }
            (None, Some(size)) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let data = TensorData::with_capacity(datatype, 0);
                Ok((shape, data, parameters, Some(size)))
            }
            (None, None) => Err(Error::invalid(
                "has neither data nor the parameter binary_data_size: send one of them",
            )),
            (Some(_), Some(_)) => Err(Error::invalid(
                "has both data and the parameter binary_data_size: send one of them",
            )),
        }
    }
}

/// The elements must be as many as the shape says, and where they are nested, nested like it.
fn check(shape: &[usize], due: usize, data: &Data) -> Result<()> {
    if data.values.len() != due {
        return Err(Error::invalid(format!(
            "shape {shape:?} needs {due} elements but data has {}: send as many as the shape says",
            data.values.len()
        )));
    }
    data.check_nesting(shape)
}

#[cold]
fn missing(key: &str) -> Error {
    Error::invalid(format!(
        "has no {key}: a tensor needs name, shape, datatype and its elements"
    ))
}

impl Key {
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Shape => "shape",
            Self::Datatype => "datatype",
            Self::Parameters => "parameters",
            Self::Data => "data",
            Self::Other => "",
        }
    }
}

struct ShapeSeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Vec<usize>;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Vec<usize>, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape as an array of whole numbers from 0 on")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<usize>, A::Error> {
        let limit = self.0.limits.dimensions;
        self.0.deep(DEPTH + 2)?;
        let mut shape = Vec::with_capacity(2);
        while let Some(extent) = items.next_element_seed(Extent(self.0))? {
            if shape.len() == limit {
                return Err(self.0.fail(too_many("dimensions", limit + 1, limit)));
            }
            shape.push(extent);
        }
        Ok(shape)
    }
}

/// One entry of a shape.
struct Extent<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for Extent<'_> {
    type Value = usize;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<usize, D::Error> {
        reader.deserialize_u64(self)
    }
}

impl Extent<'_> {
    #[cold]
    fn refuse<E: de::Error>(&self, found: impl fmt::Display) -> E {
        self.0.fail(Error::invalid(format!(
            "its shape has the entry {found}: send the number of elements there are, a whole \
             number from 0 on"
        )))
    }
}

impl Visitor<'_> for Extent<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of a shape as a whole number from 0 on")
    }

    fn visit_u64<E: de::Error>(self, extent: u64) -> Result<usize, E> {
        usize::try_from(extent).map_err(|_| self.refuse(extent))
    }

    fn visit_i64<E: de::Error>(self, extent: i64) -> Result<usize, E> {
        usize::try_from(extent).map_err(|_| self.refuse(extent))
    }

    fn visit_f64<E: de::Error>(self, extent: f64) -> Result<usize, E> {
        Err(self.refuse(format_args!("{extent:e}")))
    }
}

struct DatatypeSeed<'c>(&'c Context<'c>);

impl<'de> DeserializeSeed<'de> for DatatypeSeed<'_> {
    type Value = Datatype;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Datatype, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for DatatypeSeed<'_> {
    type Value = Datatype;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a datatype as a string")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Datatype, E> {
        Datatype::parse(name).map_err(|error| self.0.fail(error))
    }
}

/// Appends a tensor object: with its elements, or with the size of what [`binary::write`] will
/// append after the JSON. False if JSON cannot carry the elements: bytes that are not UTF-8.
pub(super) fn write_json(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    parameters: Option<&Parameters>,
    in_binary: bool,
) -> bool {
    out.push(b'{');
    write::key(out, "name");
    write::string(out, &tensor.name);
    write::key(out, "shape");
    write::shape(out, &tensor.shape);
    write::key(out, "datatype");
    write::string(out, tensor.data.datatype().name());
    let size = in_binary.then(|| (SIZE, Parameter::Uint(binary::size(&tensor.data) as u64)));
    match parameters {
        Some(parameters) => parameters.write(out, size),
        None => Parameters::new().write(out, size),
    }
    let mut valid = true;
    if !in_binary {
        write::key(out, "data");
        out.push(b'[');
        valid = write::elements(out, &tensor.data, 0, tensor.data.len());
        out.push(b']');
    }
    out.push(b'}');
    valid
}
