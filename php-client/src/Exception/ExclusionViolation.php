<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * An exclusion constraint refused the row (23P01).
 */
final class ExclusionViolation extends ConstraintViolation
{
}
