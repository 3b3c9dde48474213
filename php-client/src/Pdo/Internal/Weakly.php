<?php

/**
 * Deliberately without strict types: PDO assigns properties and calls functions from C, where values
 * are converted as PHP does without strict types. `float $price` takes numeric's "1.50", for instance.
 */

namespace RrPgpool\Pdo\Internal;

use Closure;
use ReflectionClass;

/**
 * What PDO does to classes and functions of the application while it fetches.
 *
 * @internal
 */
final class Weakly
{
    /**
     * An object whose constructor has not run.
     *
     * @param class-string $class
     */
    public static function instantiate(string $class): object
    {
        return (new ReflectionClass($class))->newInstanceWithoutConstructor();
    }

    /**
     * Sets public properties, and has __set() take the others.
     *
     * @param list<string> $names
     * @param list<mixed> $values
     */
    public static function assign(object $object, array $names, array $values): void
    {
        foreach ($names as $i => $name) {
            $object->{$name} = $values[$i];
        }
    }

    /**
     * The same from inside of the class, so for its private properties, too.
     *
     * @param list<string> $names
     * @param list<mixed> $values
     */
    public static function hydrate(object $object, array $names, array $values): void
    {
        $scope = $object::class;
        if ((new ReflectionClass($scope))->isInternal()) {
            // No code can be bound to a class of PHP itself.
            self::assign($object, $names, $values);

            return;
        }
        Closure::bind(static function () use ($object, $names, $values): void {
            foreach ($names as $i => $name) {
                $object->{$name} = $values[$i];
            }
        }, null, $scope)();
    }

    /**
     * Runs the constructor, a private one included.
     *
     * @param array<array-key, mixed> $arguments
     */
    public static function construct(object $object, array $arguments): void
    {
        $constructor = (new ReflectionClass($object))->getConstructor();
        if ($constructor !== null) {
            $constructor->invokeArgs($object, array_values($arguments));
        }
    }

    /** @param list<mixed> $arguments */
    public static function call(callable $function, array $arguments): mixed
    {
        return $function(...$arguments);
    }
}
