<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use BackedEnum;
use DateTimeImmutable;
use DateTimeInterface;
use ReflectionClass;
use ReflectionNamedType;
use ReflectionParameter;
use ReflectionProperty;
use ReflectionType;
use RrPgpool\Exception\InvalidArgument;
use stdClass;

/**
 * Makes objects of rows, see Result::fetchObject().
 *
 * @internal
 * @template T of object
 */
final class Hydrator
{
    /** @var ReflectionClass<T> */
    private readonly ReflectionClass $class;
    /** @var list<ReflectionParameter> */
    private readonly array $parameters;

    /** @param class-string<T> $class */
    public function __construct(string $class)
    {
        if (!class_exists($class)) {
            throw new InvalidArgument("there is no class {$class}", '22023');
        }
        $this->class = new ReflectionClass($class);
        $this->parameters = $this->class->getConstructor()?->getParameters() ?? [];
    }

    /**
     * @param array<string, mixed> $row
     * @return T
     */
    public function create(array $row): object
    {
        if ($this->class->name === stdClass::class) {
            return (object) $row;
        }
        $columns = [];
        foreach ($row as $name => $value) {
            $columns[self::normalized((string) $name)] = $value;
        }
        $object = $this->class->newInstanceArgs($this->arguments($columns));
        foreach ($this->properties() as $key => $property) {
            if (array_key_exists($key, $columns)) {
                $property->setValue($object, self::converted($columns[$key], $property->getType()));
            }
        }

        return $object;
    }

    /**
     * @param array<string, mixed> $columns
     * @return array<string, mixed>
     */
    private function arguments(array $columns): array
    {
        $arguments = [];
        foreach ($this->parameters as $parameter) {
            $key = self::normalized($parameter->name);
            if (array_key_exists($key, $columns)) {
                $arguments[$parameter->name] = self::converted($columns[$key], $parameter->getType());
            } elseif (!$parameter->isOptional()) {
                throw new InvalidArgument(
                    "the result has no column for {$this->class->name}::__construct(\${$parameter->name})",
                    '42703',
                );
            }
        }

        return $arguments;
    }

    /** @return array<string, ReflectionProperty> those that the constructor does not set */
    private function properties(): array
    {
        $properties = [];
        foreach ($this->class->getProperties(ReflectionProperty::IS_PUBLIC) as $property) {
            if (!$property->isStatic() && !$property->isReadOnly() && !$property->isPromoted()) {
                $properties[self::normalized($property->name)] = $property;
            }
        }
        foreach ($this->parameters as $parameter) {
            unset($properties[self::normalized($parameter->name)]);
        }

        return $properties;
    }

    private static function converted(mixed $value, ?ReflectionType $type): mixed
    {
        if ($value === null || !$type instanceof ReflectionNamedType || $type->isBuiltin()) {
            return $value;
        }
        $class = $type->getName();

        return match (true) {
            is_string($value) && is_a($class, DateTimeInterface::class, true) => self::date($value, $class),
            is_a($class, BackedEnum::class, true) && (is_int($value) || is_string($value)) => $class::from($value),
            default => $value,
        };
    }

    /** @param class-string $class */
    private static function date(string $value, string $class): DateTimeInterface
    {
        return $class === DateTimeInterface::class ? new DateTimeImmutable($value) : new $class($value);
    }

    /** `created_at`, `createdAt` and `CreatedAt` are one name. */
    private static function normalized(string $name): string
    {
        return strtolower(str_replace('_', '', $name));
    }
}
