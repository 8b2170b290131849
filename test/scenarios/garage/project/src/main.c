/* A program that says TEXT, without libraries: Linux, x86-64 and i386. */

static long call(long number, long a, long b, long c) {
  long result;
#ifdef __x86_64__
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
#endif
  return result;
}

#ifdef __x86_64__
enum { WRITE = 1, EXIT = 60 };
#else
enum { WRITE = 4, EXIT = 1 };
#endif

void _start(void) {
  static const char text[] = TEXT;
  call(WRITE, 1, (long)text, sizeof text - 1);
  call(EXIT, 0, 0, 0);
}
